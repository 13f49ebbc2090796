"""The limits of a queue in memory. They end with the process."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from datetime import datetime

from ....core.job import Outcome, utcnow
from ....core.job.clock import micros_of, time_of_micros
from ....core.job.limits import KeyTimes, Limit, Limiter, Limits, name_of
from ...claim import Claim, declared_limits
from ...records.limits import Limiting, LimitUse, note_ends
from ..jobs.job_table import JobTable

#: With more keys than this, the times that are over are deleted.
MANY = 10_000


class KeyTable:
    """The times of keys, and when the first one opens. A plain data structure, for one thread at a time."""

    def __init__(self) -> None:
        self.times: dict[str, KeyTimes] = {}
        self.changed: dict[str, Limit] = {}
        """The limits that people have changed."""

        self.opens_at: datetime | None = None
        """When jobs that a fetch has left may begin; ``None``: when another job has ended, or there are none."""

    def note(self, limiter: Limiter) -> None:
        """Keep the times that a claim has changed."""
        self.times |= limiter.changed
        if len(self.times) > MANY:
            self.times = {key: times for key, times in self.times.items() if max(times) > limiter.now}
        self.opens_at = None if limiter.next_opening is None else time_of_micros(limiter.next_opening)

    def has_opened(self, now: datetime) -> bool:
        """Return whether a key has opened since the last fetch."""
        if self.opens_at is None or now < self.opens_at:
            return False
        self.opens_at = None
        return True

    def clear(self) -> None:
        """Delete everything."""
        self.times.clear()
        self.changed.clear()
        self.opens_at = None


class MemoryLimits(Limiting):
    """The limits of ``MemoryQueue``."""

    _lock: threading.RLock
    _changed: threading.Condition
    _jobs: JobTable
    _limit_keys: KeyTable
    _arrivals: int
    _paused: set[str]

    def limit_use(self, keys: Collection[str] | None = None) -> LimitUse:  # noqa: ARG002 - all are at hand
        """Return how limits are used."""
        with self._lock:
            waiting = self._jobs.waiting.limit_keys()
            numbers = {key: number for key, (number, _) in waiting.items()}
            oldest = {key: moment for key, (_, moment) in waiting.items()}
            return LimitUse(micros_of(utcnow()), self._jobs.running(), numbers, self._limit_keys.times.copy(), oldest)

    def limited_waiting(self, claim: Claim) -> Mapping[str, int]:
        """Return how many limited jobs are due."""
        with self._lock:
            waiting = self._jobs.waiting.limit_keys(claim, self._paused)
        return {key: number for key, (number, _) in waiting.items()}

    def set_limit(self, name: str, limit: Limit | None) -> None:
        """Change a limit, or reset it to its declaration."""
        with self._lock:
            self._limit_keys.changed.pop(name, None)
            if limit is not None:
                self._limit_keys.changed[name] = limit
            self._arrivals += 1
            self._changed.notify_all()

    def open_keys(self, name: str) -> int:
        """Open the keys of a limit that jobs have closed; return how many."""
        with self._lock:
            times, now = self._limit_keys.times, micros_of(utcnow())
            closed = [key for key, each in times.items() if name_of(key) == name and each.closed_until > now]
            times |= {key: times[key]._replace(closed_until=0, closed_at=0) for key in closed}
            self._arrivals += 1
            self._changed.notify_all()
        return len(closed)

    def changed_limits(self) -> Limits:
        """Return the limits that people have changed."""
        return self._limit_keys.changed.copy()

    def _note_ends(self, outcomes: Collection[Outcome]) -> None:
        if any([outcome.closes or outcome.gives_back for outcome in outcomes]):
            limiter = self._limiter(declared_limits(), utcnow())
            note_ends(limiter, outcomes)
            self._limit_keys.times |= limiter.changed

    def _limiter(self, limits: Limits, now: datetime) -> Limiter:
        limits = {**limits, **self._limit_keys.changed} if self._limit_keys.changed else limits
        running = lambda: self._jobs.running().items()  # noqa: E731
        return Limiter(limits, micros_of(now), running=running, times=self._limit_keys.times)
