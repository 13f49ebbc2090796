"""The limits of a queue in memory. They end with the process."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import datetime

from ....core.job import utcnow
from ....core.job.limits import KeyTimes, Ledger, Limits
from ...records.limits import Limiting, LimitUse, micros_of, time_of_micros
from ..job_table import JobTable

#: The number of keys whose times are kept before those that are over are forgotten.
MANY = 10_000


class KeyTable:
    """The times of keys, and when the first one opens. A plain data structure, for one thread at a time."""

    def __init__(self) -> None:
        self.times: dict[str, KeyTimes] = {}
        self.opens_at: datetime | None = None
        """When jobs may begin that a fetch has left; ``None``: when another one has ended, if there are any."""

    def note(self, ledger: Ledger) -> None:
        """Note what a claim has decided."""
        self.times |= ledger.changed
        if len(self.times) > MANY:
            self.times = {key: times for key, times in self.times.items() if max(times) > ledger.now}
        self.opens_at = None if ledger.next_opening is None else time_of_micros(ledger.next_opening)

    def has_opened(self, now: datetime) -> bool:
        """Return whether a key has opened since the last fetch."""
        if self.opens_at is None or now < self.opens_at:
            return False
        self.opens_at = None
        return True

    def clear(self) -> None:
        """Forget all."""
        self.times.clear()
        self.opens_at = None


class MemoryLimits(Limiting):
    """The limits of ``MemoryQueue``."""

    _changed: threading.Condition
    _jobs: JobTable
    _keys: KeyTable

    def limit_use(self, keys: Collection[str] | None = None) -> LimitUse:  # noqa: ARG002 - all are at hand
        """Return how limits are used."""
        with self._changed:
            waiting = self._jobs.waiting.limit_keys()
            return LimitUse(micros_of(utcnow()), self._jobs.running(), waiting, self._keys.times.copy())

    def _ledger(self, limits: Limits, now: datetime) -> Ledger:
        running = lambda: self._jobs.running().items()  # noqa: E731
        return Ledger(limits, micros_of(now), running=running, times=self._keys.times)
