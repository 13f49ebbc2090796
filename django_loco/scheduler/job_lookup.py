"""Finds the jobs of a schedule in its queue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from ..core.job import JobSummary
from ..exceptions import QueueError
from ..log.safe import get_logger
from .entry import ScheduleEntry

logger = get_logger("django_loco.scheduler")


def jobs_of(entry: ScheduleEntry, limit: int) -> list[JobSummary]:
    """Return the newest jobs of a schedule, both of ticks and of manual runs. Raises ``QueueUnavailable``."""
    backend: Any = entry.task.get_backend()
    return backend.queue.series(entry.name, limit)  # type: ignore[no-any-return]


def jobs_of_alias(entries: Sequence[ScheduleEntry], limit: int) -> dict[str, Sequence[JobSummary]]:
    """Return ``jobs_of`` for schedules of one alias, by name, in one call. Raises ``QueueUnavailable``."""
    backend: Any = entries[0].task.get_backend()
    return backend.queue.each_series([entry.name for entry in entries], limit)  # type: ignore[no-any-return]


def jobs_of_each(entries: Iterable[ScheduleEntry], limit: int) -> dict[str, Sequence[JobSummary]]:
    """Return ``jobs_of`` for ``entries``, by name, with one call for each queue.

    Schedules whose queue cannot be reached are left out.
    """
    by_alias: dict[str, list[ScheduleEntry]] = defaultdict(list)
    for entry in entries:
        by_alias[entry.task.backend].append(entry)
    found: dict[str, Sequence[JobSummary]] = {}
    for of_alias in by_alias.values():
        try:
            found |= jobs_of_alias(of_alias, limit)
        except QueueError as error:
            logger.warning("The jobs of schedules in TASKS[%r] cannot be shown: %s", of_alias[0].task.backend, error)
    return found


def tick_of(job: JobSummary) -> datetime | None:
    """Return the tick of ``job``, in UTC; ``None`` if it was not made for a tick."""
    try:
        return datetime.fromisoformat(key_suffix(job)).astimezone(UTC)
    except ValueError:
        return None


def was_under_way(job: JobSummary, tick: datetime) -> bool:
    """Return whether ``job`` belongs to an earlier tick, or to none, and waited or ran when ``tick`` was due."""
    is_earlier = (tick_of(job) or tick) <= tick and job.enqueued_at <= tick
    return is_earlier and (job.finished_at is None or job.finished_at > tick)


def key_suffix(job: JobSummary) -> str:
    """Return the part of a job's key after the schedule's name: a time, ``run ...`` or ``release ...``."""
    return (job.key or "").rpartition("@")[2]
