"""Tracks which queues cannot take jobs at the moment, and when to try each of them again."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from ...core.backoff import Backoff
from ...exceptions import QueueError, QueueFull
from ...log.safe import get_logger

logger = get_logger("django_loco.scheduler")

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 1.0, 10.0


class _QueueBackoff(Backoff):
    """The back-off of a ``TASKS`` alias whose queue does not take jobs."""

    def __init__(self, now: datetime) -> None:
        super().__init__(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS, spread=0)
        self.since = time.monotonic()
        self.until = now
        """When it is tried again, by the scheduler's clock."""
        self.is_full = False
        """Whether the queue answers, but has no room."""


class QueueBackoffs:
    """The queues that do not take jobs, by ``TASKS`` alias. For one thread; others may read only ``aliases``."""

    def __init__(self) -> None:
        self._backoffs: dict[str, _QueueBackoff] = {}

    @property
    def aliases(self) -> list[str]:
        """The aliases whose queue does not take jobs, sorted."""
        return sorted(self._backoffs)

    def wait_until(self, alias: str, now: datetime) -> datetime | None:
        """Return when to try the queue of ``alias`` again; ``None`` means now."""
        backoff = self._backoffs.get(alias)
        return backoff.until if backoff and now < backoff.until else None

    def is_due(self, alias: str, now: datetime) -> bool:
        """Return whether the queue of ``alias`` did not take jobs, and is to be tried again now."""
        return alias in self._backoffs and self.wait_until(alias, now) is None

    def failed(self, alias: str, error: QueueError, now: datetime) -> datetime:
        """Record that the queue did not take a job. Return when to try again."""
        backoff = self._backoffs.get(alias)
        if backoff is None:
            backoff = self._backoffs[alias] = _QueueBackoff(now)
            logger.error("TASKS[%r] takes no jobs, so the ticks of its schedules wait: %s", alias, error)
        backoff.until = now + timedelta(seconds=backoff.failed(error))
        backoff.is_full = isinstance(error, QueueFull)
        return backoff.until

    def succeeded(self, alias: str) -> None:
        """Record that the queue took a job."""
        backoff = self._backoffs.pop(alias, None)
        if backoff:
            logger.warning("TASKS[%r] takes jobs again, after %.0f s", alias, time.monotonic() - backoff.since)

    def answered(self, alias: str) -> None:
        """Record that the queue answered. A queue that was full may answer and still have no room."""
        if alias in self._backoffs and not self._backoffs[alias].is_full:
            self.succeeded(alias)

    def retry_now(self, now: datetime) -> None:
        """Try all queues again at ``now``, because the clock was put back."""
        for backoff in self._backoffs.values():
            backoff.until = now
