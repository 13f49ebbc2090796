"""The jobs that a schedule has made, as far as its queue still has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..core.job import JobSummary
from .entry import Entry


def jobs_of(entry: Entry, limit: int) -> list[JobSummary]:
    """Return the newest jobs of a schedule, whatever they were made for. Raises ``QueueUnavailable``."""
    backend: Any = entry.task.get_backend()
    return backend.queue.series(entry.name, limit)  # type: ignore[no-any-return]


def tick_of(job: JobSummary) -> datetime | None:
    """Return the tick that ``job`` was made for, in UTC; ``None`` if it was made for something else."""
    try:
        return datetime.fromisoformat(key_suffix(job)).astimezone(UTC)
    except ValueError:
        return None


def key_suffix(job: JobSummary) -> str:
    """Return what tells ``job`` from the others of its schedule: a time, or ``run ...`` by hand, or ``release ...``."""
    return (job.key or "").rpartition("@")[2]
