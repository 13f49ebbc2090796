"""Returns the latest jobs of a schedule that its queue still has.

A skipped tick has no job and is not returned; it is only in the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from ...core.job import JobSummary
from ..entry import ScheduleEntry
from ..job_lookup import jobs_of, jobs_of_each, key_suffix, tick_of
from .control import registry_with

#: The latest job is searched among this many of the newest jobs, which were nearly always made in order.
JOBS_INSPECTED = 10


class LastRun(NamedTuple):
    """The latest job of a schedule."""

    at: datetime
    """When it was due."""

    status: str
    """``READY``, ``RUNNING``, ``FAILED`` or ``SUCCESSFUL``."""

    job: str
    """The job's id."""


class Tick(NamedTuple):
    """A job of a schedule, with the tick that it was made for."""

    tick: str
    """A time; or ``run ...`` for a manual run, or ``release ...`` for a run on start."""

    due: datetime | None
    """The time of the tick in UTC; ``None`` if it has no time.

    With ``after``, the time of the other schedule's tick.
    """

    fired: datetime
    """When its job was enqueued."""

    late: float | None
    """The seconds from ``due`` to ``fired``; ``None`` for a run without a due time."""

    status: str
    """The status of the job: ``READY``, ``RUNNING``, ``FAILED`` or ``SUCCESSFUL``."""

    ended: datetime | None
    """When the job ended."""

    error: str
    """The class of the job's last error; ``""`` if there is none or the job has succeeded."""

    job: str
    """The job's id."""


def history(name: str, limit: int = 20) -> list[Tick]:
    """Return the ticks of the schedule ``name``, the newest first, at most ``limit``.

    Raises ``LocoConfigurationError`` if the schedule does not exist or is off, and ``QueueUnavailable``.
    """
    entry = registry_with(name).entry(name)
    return [_tick(job, entry) for job in jobs_of(entry, limit)]


def last_runs(entries: Iterable[ScheduleEntry]) -> dict[str, LastRun]:
    """Return the latest jobs by the name of their schedule.

    A schedule is left out if its queue cannot be reached, or is in the memory of another process.
    """
    return {
        name: max(LastRun(job.due_at, job.status.name, job.id) for job in jobs)
        for name, jobs in jobs_of_each(entries, JOBS_INSPECTED).items()
        if jobs
    }


def histories(entries: Collection[ScheduleEntry], limit: int) -> dict[str, list[Tick]]:
    """Return the ``history`` of each schedule by name. Schedules whose queue cannot be reached are left out."""
    by_name = {entry.name: entry for entry in entries}
    found = jobs_of_each(entries, limit)
    return {name: [_tick(job, by_name[name]) for job in jobs] for name, jobs in found.items()}


def _tick(job: JobSummary, entry: ScheduleEntry) -> Tick:
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
