"""The view of the page of queues."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from django.http import HttpRequest

from ....jobs.page_parts.scope import BY_QUEUE, scope_of
from ...access import PAUSE, VIEW_JOB, VIEW_WORKER
from ...charts.activity import range_of
from ...live import LivePage
from .facts import QueuesRead, read
from .parts import parts_of


class Queues(LivePage[QueuesRead]):
    """The queues, with buttons to pause and resume each."""

    entry = "queues"
    template = "queues.html"
    permissions = (VIEW_JOB, VIEW_WORKER)
    words = BY_QUEUE

    def key(self, request: HttpRequest) -> Hashable:
        """Return the name of the range of time."""
        return range_of(request).name

    def read(self, request: HttpRequest, **_names: str) -> QueuesRead:
        """Return the present queues."""
        return read(range_of(request), scope_of(request))

    def context(self, request: HttpRequest, read: QueuesRead) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the address to which a button leads back."""
        return {"here": request.get_full_path()}

    def parts(self, request: HttpRequest, read: QueuesRead) -> Mapping[str, Mapping[str, Any]]:
        """Return the parts, with buttons for those who may pause."""
        return parts_of(read, range_of(request), may_pause=request.user.has_perm(PAUSE))


queues = Queues()
