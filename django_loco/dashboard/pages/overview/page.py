"""The view of the overview."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from django.http import HttpRequest

from ....jobs.page_parts.scope import BY_TASK, scope_of
from ...access import PAUSE, VIEW_JOB, VIEW_WORKER
from ...charts.activity import range_of
from ...frame import open_pages
from ...live import LivePage
from .facts import Facts, read
from .parts import parts_of


class Overview(LivePage[Facts]):
    """The state of all jobs."""

    entry = "overview"
    template = "overview.html"
    permissions = (VIEW_JOB, VIEW_WORKER)
    words = BY_TASK
    instead = "jobs"

    def key(self, request: HttpRequest) -> Hashable:
        """Return the name of the range of time."""
        return range_of(request).name

    def read(self, request: HttpRequest, **_names: str) -> Facts:
        """Return the present facts."""
        return read(range_of(request), scope_of(request))

    def parts(self, request: HttpRequest, read: Facts) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with links to the pages that the user may see, and buttons for those who may pause."""
        return parts_of(read, range_of(request), open_pages(request), may_pause=request.user.has_perm(PAUSE))


overview = Overview()
