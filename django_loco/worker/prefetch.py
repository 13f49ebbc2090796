"""How many jobs of one kind the worker asks for."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from .claimed_job import ClaimedJob

#: The stock in a pool is what it begins with in this many seconds at the present rate: enough to bridge a round trip
#: to the queue, and never so much that short jobs here wait while another worker has threads to spare.
STOCK_SECONDS = 0.1
MAX_STOCK = 500
#: Seconds after which a job that has not begun is handed back, for whoever can begin it at once.
MAX_WAIT = 1.0
#: Seconds over which the rate is averaged, and between two measurements of it.
RATE_SPAN, RATE_STEP = 0.5, 0.02


class Pool(Protocol):
    """What threads and the event loop have in common."""

    size: int

    def submit(self, claimed_jobs: Sequence[ClaimedJob], held: int) -> None:
        """Take runs; ``held`` is how many it then has."""

    def withdraw(self, limit: int) -> list[ClaimedJob]:
        """Give back up to ``limit`` runs that have not begun."""


class Prefetch:
    """The jobs that one pool has: those that run, and a small stock. Used by the fetcher's thread alone."""

    def __init__(self, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self.held = 0
        """How many jobs the pool has, begun or not."""
        self._pool = pool
        self._clock = clock
        self._waiting: deque[ClaimedJob] = deque()
        self._rate = 0.0
        self._since = clock()
        self._done = 0

    @property
    def room(self) -> int:
        """How many more jobs to ask for."""
        return max(0, self._pool.size + self._stock - self.held) if self._pool.size else 0

    @property
    def waiting(self) -> int:
        """How many of them have not begun."""
        return sum(_waits(claimed) for claimed in tuple(self._waiting))

    @property
    def max_wait(self) -> float:
        """Seconds until one of them may have been waiting for too long; infinite if none waits."""
        if not self._waiting:
            return math.inf
        return max(RATE_STEP, self._waiting[0].fetched_at + MAX_WAIT - self._clock())

    def hand(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        """Give ``runs`` to the pool."""
        self.held += len(claimed_jobs)
        self._waiting.extend(claimed_jobs)
        self._pool.submit(claimed_jobs, self.held)

    def take_back(self, count: int) -> None:
        """Take note that ``count`` runs have ended; call it with 0, too, for the rate falls in quiet times."""
        self.held -= count
        self._measure(count)

    def withdraw(self) -> list[ClaimedJob]:
        """Take from the pool all that has not begun."""
        claimed_jobs = self._pool.withdraw(self.held)
        self.held -= len(claimed_jobs)
        self._waiting.clear()
        return claimed_jobs

    def withdraw_stale(self) -> list[ClaimedJob]:
        """Take from the pool what has been waiting there for too long."""
        while self._waiting and not _waits(self._waiting[0]):
            self._waiting.popleft()
        before = self._clock() - MAX_WAIT
        stale = 0
        for claimed in self._waiting:
            if claimed.fetched_at > before:
                break
            stale += _waits(claimed)
        claimed_jobs = self._pool.withdraw(stale) if stale else []
        self.held -= len(claimed_jobs)
        return claimed_jobs

    @property
    def _stock(self) -> int:
        return min(MAX_STOCK, int(self._rate * STOCK_SECONDS))

    def _measure(self, count: int) -> None:
        """Follow the rate of jobs per second: a moving average that halves in about a third of a second."""
        self._done += count
        passed = self._clock() - self._since
        if passed < RATE_STEP:
            return
        weight = 1 - math.exp(-passed / RATE_SPAN)
        self._rate += weight * (self._done / passed - self._rate)
        self._since += passed
        self._done = 0


def _waits(claimed: ClaimedJob) -> bool:
    return not claimed.started and not claimed.is_settled
