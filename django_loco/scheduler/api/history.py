"""What a schedule has made, as far as its queue still has the jobs: the latest, or one tick after the other.

A tick that was left out has no job, and so is not here; the log tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from ...core.job import JobSummary
from ...exceptions import QueueError
from ..entry import Entry
from ..jobs import jobs_of, key_suffix, tick_of
from ..registry import Registry
from .control import registry_with

#: Among how many of a schedule's newest jobs the latest is looked for: nearly always they are made in order.
JOBS_INSPECTED = 10


class LastRun(NamedTuple):
    """The latest job of a schedule."""

    at: datetime
    """When it was due."""

    status: str
    """``READY``, ``RUNNING``, ``FAILED`` or ``SUCCESSFUL``."""

    job: str
    """Its id."""


class Tick(NamedTuple):
    """A job of a schedule, and what it was made for."""

    tick: str
    """What tells it from the others of its schedule: a time, or ``run ...`` by hand, or ``release ...``."""

    due: datetime | None
    """The time of that tick, in UTC; ``None`` if it has none. Of a schedule that runs after another: of the other's."""

    fired: datetime
    """When its job was enqueued."""

    late: float | None
    """The seconds between the two; ``None`` for what waited for no time."""

    status: str
    """Of the job: ``READY``, ``RUNNING``, ``FAILED`` or ``SUCCESSFUL``."""

    ended: datetime | None
    """When the job ended."""

    error: str
    """The class of the job's last error; ``""``: none, or the job has succeeded after all."""

    job: str
    """The job's id."""


def history(name: str, limit: int = 20, *, registry: Registry | None = None) -> list[Tick]:
    """Return what the schedule ``name`` has made, the newest first, at most ``limit``.

    Raises ``LocoConfigurationError`` if there is no such schedule, or it is off, and ``QueueUnavailable``.
    """
    entry = (registry or registry_with(name)).entry(name)
    return [_told(job, entry) for job in jobs_of(entry, limit)]


def last_runs(entries: Iterable[Entry]) -> dict[str, LastRun]:
    """Return the latest jobs by the name of their schedule.

    Of a queue that cannot be asked, or is in the memory of another process, there are none.
    """
    found: dict[str, LastRun] = {}
    away: set[str] = set()
    for entry in entries:
        if entry.task.backend not in away:
            try:
                runs = [LastRun(job.due_at, job.status.name, job.id) for job in jobs_of(entry, JOBS_INSPECTED)]
            except QueueError:
                away.add(entry.task.backend)
            else:
                found |= {entry.name: max(runs)} if runs else {}
    return found


def _told(job: JobSummary, entry: Entry) -> Tick:
    due = tick_of(job)
    return Tick(
        tick=key_suffix(job),
        due=due,
        fired=job.enqueued_at,
        late=None if due is None or entry.after else round((job.enqueued_at - due).total_seconds(), 3),
        status=job.status.name,
        ended=job.finished_at,
        error=job.error,
        job=job.id,
    )
