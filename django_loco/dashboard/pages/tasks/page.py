"""The view of the page of tasks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from django.http import HttpRequest

from ....jobs.page_parts.scope import BY_TASK, scope_of
from ...access import PAUSE, VIEW_JOB
from ...charts.activity import range_of
from ...live import LivePage
from .facts import DEFAULT_ORDER, ORDERS, TasksRead, read
from .parts import parts_of


class Tasks(LivePage[TasksRead]):
    """The tasks of the last two weeks."""

    entry = "tasks"
    template = "tasks.html"
    permissions = (VIEW_JOB,)
    words = BY_TASK

    def key(self, request: HttpRequest) -> Hashable:
        """Return the range of time and the order."""
        return range_of(request).name, _order(request)

    def read(self, request: HttpRequest, **_names: str) -> TasksRead:
        """Return the statistics of the tasks."""
        return read(range_of(request), _order(request), scope_of(request))

    def parts(self, request: HttpRequest, read: TasksRead) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts."""
        return parts_of(read, range_of(request), _order(request), may_pause=request.user.has_perm(PAUSE))

    def context(self, request: HttpRequest, read: TasksRead) -> Mapping[str, Any]:
        """Return the address to which a button leads back, and whether there is a form for tags."""
        may_pause = request.user.has_perm(PAUSE)
        return {"here": request.get_full_path(), "may_pause_tags": may_pause and not read.scope.is_narrowed}


def _order(request: HttpRequest) -> str:
    order = request.GET.get("order", DEFAULT_ORDER)
    return order if order in ORDERS else DEFAULT_ORDER


tasks = Tasks()
