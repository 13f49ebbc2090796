"""The view of the page of limits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from django.http import HttpRequest

from ....jobs.page_parts.scope import BY_ALIAS, scope_of
from ...access import CHANGE_LIMIT, VIEW_JOB
from ...live import LivePage
from .facts import LimitsRead, read
from .parts import parts_of


class LimitsPage(LivePage[LimitsRead]):
    """The limits, with forms that change them."""

    entry = "limits"
    template = "limits.html"
    permissions = (VIEW_JOB,)
    words = BY_ALIAS

    def key(self, request: HttpRequest) -> Hashable:  # noqa: ARG002
        """Return one key for all users."""
        return ""

    def read(self, request: HttpRequest, **_names: str) -> LimitsRead:
        """Return the present limits."""
        return read(scope_of(request))

    def parts(self, request: HttpRequest, read: LimitsRead) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with forms for those who may change limits."""
        return parts_of(read, may_change=request.user.has_perm(CHANGE_LIMIT))


limits_page = LimitsPage()
