"""Which queues take nothing for now, and when each is tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...exceptions import QueueError, QueueFull
from ...log.safe import get_logger

logger = get_logger("django_loco.scheduler")

#: The longest time between two attempts to reach a store that is away.
MAX_RETRY_DELAY = timedelta(seconds=10)


@dataclass(slots=True)
class _QueueBackoff:
    """A ``TASKS`` alias whose queue takes nothing."""

    since: float
    until: datetime
    """When it is tried again."""

    attempts: int = 1
    is_full: bool = False
    """Whether it answers, and has no room."""


class QueueBackoffs:
    """The backoffs by ``TASKS`` alias. Used by one thread; only ``aliases`` may be read from others."""

    def __init__(self) -> None:
        self._backoffs: dict[str, _QueueBackoff] = {}

    @property
    def aliases(self) -> list[str]:
        """Those whose queue takes nothing, sorted."""
        return sorted(self._backoffs)

    def wait_until(self, alias: str, now: datetime) -> datetime | None:
        """Return when to try the queue of ``alias`` again; ``None``: now."""
        backoff = self._backoffs.get(alias)
        return backoff.until if backoff and now < backoff.until else None

    def note(self, alias: str, error: QueueError, now: datetime) -> datetime:
        """Note that the queue took nothing; return when to try again."""
        backoff = self._backoffs.get(alias)
        if backoff is None:
            backoff = self._backoffs[alias] = _QueueBackoff(time.monotonic(), now)
            logger.error("TASKS[%r] takes no jobs, so the ticks of its schedules wait: %s", alias, error)
        backoff.until = now + min(MAX_RETRY_DELAY, timedelta(seconds=2.0 ** min(backoff.attempts - 1, 8)))
        backoff.attempts += 1
        backoff.is_full = isinstance(error, QueueFull)
        return backoff.until

    def end(self, alias: str) -> None:
        """Note that the queue took a job."""
        backoff = self._backoffs.pop(alias, None)
        if backoff:
            logger.warning("TASKS[%r] takes jobs again, after %.0f s", alias, time.monotonic() - backoff.since)

    def reached(self, alias: str) -> None:
        """Note that the queue answered; whether it takes jobs again is another question if it was full."""
        if alias in self._backoffs and not self._backoffs[alias].is_full:
            self.end(alias)

    def retry_now(self, now: datetime) -> None:
        """Try all of them again: the clock was put back to ``now``, and when to try is not what it was."""
        for backoff in self._backoffs.values():
            backoff.until = now
