"""The view of the overview."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from django.http import HttpRequest

from ...access import PAUSE, VIEW_JOB, VIEW_WORKER
from ...activity import DEFAULT, RANGES, Range
from ...live import LivePage
from .facts import Facts, read
from .parts import parts_of


class Overview(LivePage[Facts]):
    """How all jobs fare."""

    entry = "overview"
    template = "overview.html"
    permissions = (VIEW_JOB, VIEW_WORKER)

    def key(self, request: HttpRequest) -> Hashable:
        """Return the name of the range of time."""
        return _range(request).name

    def read(self, request: HttpRequest, **_names: str) -> Facts:
        """Return the present facts."""
        return read(_range(request))

    def parts(self, request: HttpRequest, read: Facts) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with buttons for those who may pause."""
        return parts_of(read, _range(request), may_pause=request.user.has_perm(PAUSE))


def _range(request: HttpRequest) -> Range:
    return RANGES.get(request.GET.get("range", DEFAULT), RANGES[DEFAULT])


overview = Overview()
