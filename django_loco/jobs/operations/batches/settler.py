"""Finishes batches and lets nodes run: at once when a member of this worker has ended, and now and then all others."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from ....core.job import READY, Job
from ....queues import Queue
from ..workflows.releasing import sweep
from .settling import settle, settle_members

#: The time between two looks at all batches.
SWEEP_EVERY_SECONDS = 10.0


class BatchSettler:
    """Finishes batches, for the thread ``Housekeeping``. Other threads tell it which members have ended."""

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        """``queue`` has the batches."""
        self._queue, self._clock = queue, clock
        self._ended: deque[Job] = deque()
        self._next_sweep = clock()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known to be left to do."""
        return not self._ended

    def note(self, jobs: Iterable[Job]) -> None:
        """Note jobs that the queue has stored as ended. Those that are in no batch are left out."""
        for job in jobs:
            if job.batch is not None and job.status != READY:
                self._ended.append(job)

    def settle(self) -> bool:
        """Finish the batches of the members that have ended; return whether there were any. Raises as the queue does.

        Batches that were not settled because of an error are settled next time.
        """
        taken = self._ended.copy()  # they stay until they are settled, for ``is_idle``
        if not taken:
            return False
        settle_members(self._queue, taken)
        for _ in taken:
            self._ended.popleft()
        return True

    def sweep_if_due(self) -> None:
        """Look at all batches, if the last time was ``SWEEP_EVERY_SECONDS`` ago. Raises as the queue does."""
        if self._clock() >= self._next_sweep:
            sweep(self._queue)
            settle(self._queue)
            self._next_sweep = self._clock() + SWEEP_EVERY_SECONDS
