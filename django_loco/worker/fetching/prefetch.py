"""How many jobs of one kind the worker fetches before a pool has room for them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ..claimed_job import ClaimedJob

#: The worker prefetches as many jobs as the pool begins within this time at the present rate. This bridges a round trip
#: to the queue. It is short enough that jobs do not wait here while another worker has free threads.
PREFETCH_SECONDS = 0.1
MAX_PREFETCHED = 500
#: A job that has not begun after this time is handed back, so that another worker can begin it.
MAX_WAIT_SECONDS = 1.0
#: The time over which the rate is averaged, and the time between two measurements.
RATE_SPAN_SECONDS, RATE_STEP_SECONDS = 0.5, 0.02


class Pool(Protocol):
    """The interface of the pool of threads and the event loop."""

    size: int

    @property
    def capacity(self) -> int:
        """How many jobs it can run now."""

    def submit(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        """Take jobs."""

    def withdraw(self, limit: int) -> list[ClaimedJob]:
        """Give back up to ``limit`` jobs that have not begun."""


class Prefetch:
    """The jobs that one pool has, both those that run and those that wait. For the fetcher's thread alone."""

    def __init__(self, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self.held = 0
        """The number of jobs that the pool has, whether they have begun or not."""
        self._pool = pool
        self._clock = clock
        self._waiting: deque[ClaimedJob] = deque()
        self._rate = 0.0
        self._since = clock()
        self._done = 0

    @property
    def room(self) -> int:
        """The number of jobs to ask for."""
        return max(0, self._pool.capacity + self._max_prefetched - self.held) if self._pool.size else 0

    @property
    def waiting(self) -> int:
        """The number of jobs that have not begun."""
        return sum(_waits(claimed) for claimed in tuple(self._waiting))

    @property
    def max_wait(self) -> float:
        """Seconds until a job may have been waiting for too long; infinite if none waits."""
        if not self._waiting:
            return math.inf
        return max(RATE_STEP_SECONDS, self._waiting[0].fetched_at + MAX_WAIT_SECONDS - self._clock())

    def submit(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        """Give jobs to the pool."""
        self.held += len(claimed_jobs)
        self._waiting.extend(claimed_jobs)
        self._pool.submit(claimed_jobs)

    def note_ended(self, count: int) -> None:
        """Update the rate after ``count`` jobs have ended. Call it with 0, too, since the rate falls in quiet times."""
        self.held -= count
        self._measure(count)

    def withdraw(self) -> list[ClaimedJob]:
        """Take back from the pool all jobs that have not begun."""
        claimed_jobs = self._pool.withdraw(self.held)
        self.held -= len(claimed_jobs)
        self._waiting.clear()
        return claimed_jobs

    def withdraw_stale(self) -> list[ClaimedJob]:
        """Take back from the pool the jobs that have been waiting for too long."""
        while self._waiting and not _waits(self._waiting[0]):
            self._waiting.popleft()
        before = self._clock() - MAX_WAIT_SECONDS
        stale = 0
        for claimed in self._waiting:
            if claimed.fetched_at > before:
                break
            stale += _waits(claimed)
        claimed_jobs = self._pool.withdraw(stale) if stale else []
        self.held -= len(claimed_jobs)
        return claimed_jobs

    @property
    def _max_prefetched(self) -> int:
        return min(MAX_PREFETCHED, int(self._rate * PREFETCH_SECONDS))

    def _measure(self, count: int) -> None:
        """Follow the rate of jobs per second, as a moving average that halves in about a third of a second."""
        self._done += count
        passed = self._clock() - self._since
        if passed < RATE_STEP_SECONDS:
            return
        weight = 1 - math.exp(-passed / RATE_SPAN_SECONDS)
        self._rate += weight * (self._done / passed - self._rate)
        self._since += passed
        self._done = 0


def _waits(claimed: ClaimedJob) -> bool:
    return not claimed.started and not claimed.is_decided
