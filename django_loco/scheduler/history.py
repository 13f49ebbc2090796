"""The latest job of each schedule, as far as its queue still has it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from ..exceptions import QueueError
from ..job import Job
from .entries import Entry

#: How many of a queue's newest jobs are looked through.
LATEST = 1000


class LastRun(NamedTuple):
    """The latest job of a schedule."""

    at: datetime
    """When it was due."""

    status: str
    """``READY``, ``RUNNING``, ``FAILED`` or ``SUCCESSFUL``."""

    job: str
    """Its id."""


def last_runs(entries: Iterable[Entry]) -> dict[str, LastRun]:
    """Return the latest jobs by the name of their schedule, among the ``LATEST`` newest of their ``TASKS`` alias.

    Of a queue that cannot be asked, or is in the memory of another process, there are none.
    """
    found: dict[str, LastRun] = {}
    for backend in {entry.task.backend: entry.task.get_backend() for entry in entries}.values():
        for job in _newest(backend):
            if job.key is not None:
                # The name comes before the last @: what follows is the time of a tick, or a release.
                name, run = job.key.rpartition("@")[0], LastRun(job.due_at, job.status.name, job.id)
                found[name] = max(run, found.get(name, run))
    return found


def _newest(backend: Any) -> list[Job]:
    try:
        return backend.queue.list(limit=LATEST)  # type: ignore[no-any-return]
    except QueueError:
        return []
