"""Which queues take nothing for now, and when each is tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...exceptions import QueueError, QueueFull
from ...log.safe import get_logger

logger = get_logger("django_loco.scheduler")

#: The longest time between two attempts to reach a store that is away.
LONGEST_RETRY = timedelta(seconds=10)


@dataclass(slots=True)
class _Outage:
    """A ``TASKS`` alias whose queue takes nothing."""

    since: float
    until: datetime
    """When it is tried again."""

    attempts: int = 1
    is_full: bool = False
    """Whether it answers, and has no room."""


class Outages:
    """The outages by ``TASKS`` alias. Used by one thread; only ``aliases`` may be read from others."""

    def __init__(self) -> None:
        self._outages: dict[str, _Outage] = {}

    @property
    def aliases(self) -> list[str]:
        """Those whose queue takes nothing, sorted."""
        return sorted(self._outages)

    def wait_until(self, alias: str, now: datetime) -> datetime | None:
        """Return when to try the queue of ``alias`` again; ``None``: now."""
        outage = self._outages.get(alias)
        return outage.until if outage and now < outage.until else None

    def note(self, alias: str, error: QueueError, now: datetime) -> datetime:
        """Note that the queue took nothing; return when to try again."""
        outage = self._outages.get(alias)
        if outage is None:
            outage = self._outages[alias] = _Outage(time.monotonic(), now)
            logger.error("TASKS[%r] takes no jobs, so the ticks of its schedules wait: %s", alias, error)
        outage.until = now + min(LONGEST_RETRY, timedelta(seconds=2.0 ** min(outage.attempts - 1, 8)))
        outage.attempts += 1
        outage.is_full = isinstance(error, QueueFull)
        return outage.until

    def end(self, alias: str) -> None:
        """Note that the queue took a job."""
        outage = self._outages.pop(alias, None)
        if outage:
            logger.warning("TASKS[%r] takes jobs again, after %.0f s", alias, time.monotonic() - outage.since)

    def reached(self, alias: str) -> None:
        """Note that the queue answered; whether it takes jobs again is another question if it was full."""
        if alias in self._outages and not self._outages[alias].is_full:
            self.end(alias)

    def retry_now(self, now: datetime) -> None:
        """Try all of them again: the clock was put back to ``now``, and when to try is not what it was."""
        for outage in self._outages.values():
            outage.until = now
