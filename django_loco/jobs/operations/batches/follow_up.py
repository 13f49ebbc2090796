"""Does what follows the end of jobs: at once for the jobs of this worker, and now and then for all others.

It finishes batches, and releases nodes of workflows and jobs that follow unique ones (``reruns``).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from ....core.job import READY, RERUN, Job
from ....queues import Queue
from ..after_end import settle_ended
from ..workflows.releasing import PostponedSteps, sweep
from .settling import settle, settle_rest

#: The time between two looks at all batches.
SWEEP_EVERY_SECONDS = 10.0


def has_followers(job: Job) -> bool:
    """Return whether something may follow the end of ``job``."""
    return job.batch is not None or RERUN in job.options


class FollowUp:
    """Finishes batches, for the thread ``Housekeeping``. Other threads tell it which members have ended."""

    def __init__(
        self, queue: Queue, clock: Callable[[], float] = time.monotonic, on_released: Callable[[], None] = lambda: None
    ) -> None:
        """``queue`` has the batches. ``on_released`` is called when nodes were released."""
        self._queue, self._clock, self._on_released = queue, clock, on_released
        self._ended: deque[Job] = deque()
        self._postponed = PostponedSteps()
        self._next_sweep = clock()

    @property
    def is_idle(self) -> bool:
        """Whether no ended job is left for ``settle``."""
        return not self._ended

    def note(self, jobs: Iterable[Job]) -> None:
        """Keep for ``settle`` the ``jobs`` that have ended and have followers. The queue has stored their ends."""
        for job in jobs:
            if has_followers(job) and job.status != READY:
                self._ended.append(job)

    def settle(self) -> bool:
        """Finish the batches of the members that have ended; return whether there were any.

        Raises the errors of the queue. Batches that were not settled because of an error are settled next time.
        """
        taken = self._ended.copy()  # they stay until they are settled, for ``is_idle``
        if not taken:
            return False
        settle_ended(self._queue, taken, self._postponed)
        if self._postponed.take_released():
            self._on_released()
        for _ in taken:
            self._ended.popleft()
        return True

    def settle_rest(self) -> None:
        """Do the work that ``settle`` has postponed, so that workers could fetch the released jobs first."""
        settle_rest(self._queue, self._postponed)

    def sweep_if_due(self) -> None:
        """Look at all batches, if the last time was ``SWEEP_EVERY_SECONDS`` ago. Raises the errors of the queue."""
        if self._clock() >= self._next_sweep:
            sweep(self._queue)
            settle(self._queue)
            self._next_sweep = self._clock() + SWEEP_EVERY_SECONDS
