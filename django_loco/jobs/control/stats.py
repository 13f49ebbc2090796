"""The numbers of jobs in each queue, over all aliases of ``TASKS`` of django-loco."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ...core.compat import TaskResultStatus
from ...core.job import FAILED, READY, RUNNING, SUCCESSFUL, utcnow
from ..search import COUNTED, Count
from ..stores import queue_of, searched


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """The jobs of one queue, by their stored status; numbers are counted up to a cap."""

    backend: str
    """The alias in ``TASKS``."""

    queue: str
    ready: Count
    """Waiting, scheduled, and retrying jobs."""

    running: Count
    failed: Count
    """Failed and cancelled jobs."""

    done: Count
    oldest_due_age: float | None
    """Seconds for which the job that has been due longest waits; ``None``: no job is due, or it was not asked for."""

    is_paused: bool


def stats(*, backend: str | None = None, limit: int = COUNTED, ages: bool = True) -> list[QueueStats]:
    """Return the numbers of jobs, up to ``limit``, of each queue that has jobs or is paused, by alias and name.

    Without ``ages`` each ``oldest_due_age`` is ``None``, which saves a query per queue.
    """
    return [each for alias in searched(backend) for each in _stats(alias, limit, ages=ages)]


def _stats(alias: str, limit: int, *, ages: bool) -> list[QueueStats]:
    queue = queue_of(alias)
    counts = queue.counts(limit + 1)
    is_paused = queue.paused()
    now = utcnow()

    def count(name: str, status: TaskResultStatus) -> Count:
        number = counts.get((name, status), 0)
        return Count(min(number, limit), is_capped=number > limit)

    return [
        QueueStats(
            backend=alias,
            queue=name,
            ready=count(name, READY),
            running=count(name, RUNNING),
            failed=count(name, FAILED),
            done=count(name, SUCCESSFUL),
            oldest_due_age=_age(queue.oldest_waiting((name,)), now) if ages else None,
            is_paused=name in is_paused,
        )
        for name in sorted({name for name, _ in counts} | is_paused)
    ]


def _age(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())
