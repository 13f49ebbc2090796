"""Finds the jobs of a schedule in its queue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..core.job import JobSummary
from .entry import ScheduleEntry


def jobs_of(entry: ScheduleEntry, limit: int) -> list[JobSummary]:
    """Return the newest jobs of a schedule, of ticks and of manual runs. Raises ``QueueUnavailable``."""
    backend: Any = entry.task.get_backend()
    return backend.queue.series(entry.name, limit)  # type: ignore[no-any-return]


def tick_of(job: JobSummary) -> datetime | None:
    """Return the tick of ``job``, in UTC; ``None`` if it was not made for a tick."""
    try:
        return datetime.fromisoformat(key_suffix(job)).astimezone(UTC)
    except ValueError:
        return None


def key_suffix(job: JobSummary) -> str:
    """Return the part of a job's key after the schedule's name: a time, ``run ...`` or ``release ...``."""
    return (job.key or "").rpartition("@")[2]
