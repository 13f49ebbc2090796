"""Finds out which of the running jobs somebody has cancelled, and interrupts them; stores progress.

Somebody cancels a running job by storing its end: the queue takes the job from its worker, as it does after a lease has
run out. So a worker asks regularly which of its jobs it still holds. It does not ask about jobs that began less than a
second ago, so short jobs cost nothing. In the same turn it stores the progress that jobs have reported since the last
turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import ClassVar

from ...core.compat import TaskError
from ...exceptions import JobsLocked, QueueUnavailable
from ...jobs.states import cancellation_of
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.timeouts import store_timeout
from ..claimed_job import ClaimedJob
from ..execution.context.progress import is_new, save_progress
from ..queue_thread import QueueThread

logger = get_logger("django_loco.worker")

#: The time between two checks, and the age of a run from which a job is checked.
CHECK_SECONDS = 1.0
#: The number of jobs that are checked in one call. Every store can handle this many.
CHECK_BATCH = 1_000
#: The time that a turn spends on storing progress. The rest is left for the next turn.
SAVE_SECONDS = 1.0


class Cancellations(QueueThread):
    """Asks the queue once a second about the running jobs, if there are any. Stores their progress."""

    name: ClassVar[str] = "cancellations"
    duty: ClassVar[str] = "find out which jobs were cancelled"

    def __init__(
        self,
        queue: Queue,
        held: dict[str, ClaimedJob],
        interrupt: Callable[[ClaimedJob], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``held`` has the worker's jobs by id, shared with the fetcher. ``interrupt`` ends the call of a job."""
        super().__init__(queue)
        self._held = held
        self._interrupt = interrupt
        self._clock = clock
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Interrupt the jobs that were cancelled, and store the progress of the others."""
        before = self._clock() - CHECK_SECONDS
        running = [claimed for claimed in self._held.copy().values() if _runs(claimed) and claimed.fetched_at <= before]
        for first in range(0, len(running), CHECK_BATCH):
            part = running[first : first + CHECK_BATCH]
            lost = self.queue.lost([claimed.job for claimed in part])
            self.interrupt_cancelled([claimed for claimed in part if claimed.job.id in lost])
        self._save_progress()
        return CHECK_SECONDS

    def _save_progress(self) -> None:
        """Store the progress of jobs. What cannot be stored soon is stored in a later turn or at the job's end.

        On SQLite a job that is inside a transaction keeps others from writing.
        """
        try:
            with store_timeout(SAVE_SECONDS):
                for claimed in self._held.copy().values():
                    if is_new(claimed) and _runs(claimed):
                        with suppress(JobsLocked):
                            save_progress(claimed)
        except QueueUnavailable as error:  # the next check notices and logs a store that is away
            logger.debug("The progress of jobs is stored later: %s", error)

    def interrupt_cancelled(self, lost: Sequence[ClaimedJob]) -> None:
        """Interrupt the cancelled jobs among ``lost``, the jobs that the worker no longer holds.

        Sets ``ClaimedJob.cancelled`` of each cancelled job, and ``is_missing`` of each job that the queue no longer
        has. Raises ``QueueUnavailable``.
        """
        for claimed in lost:
            if claimed.cancelled:
                continue
            stored = self.queue.get(claimed.job.id)
            claimed.is_missing = stored is None
            if (error := cancellation_of(stored)) and self._is_first(claimed, error):
                logger.info("Job %s (%s) was cancelled", claimed.job.id, one_line(claimed.job.task_path))
                self._interrupt(claimed)

    def _is_first(self, claimed: ClaimedJob, error: TaskError) -> bool:
        """Set ``cancelled`` and return ``True``, unless another thread did: the heartbeat may ask at the same time."""
        with self._lock:
            is_first = not claimed.cancelled
            claimed.cancelled = claimed.cancelled or error
            return is_first


def _runs(claimed: ClaimedJob) -> bool:
    return not (claimed.is_decided or claimed.cancelled or claimed.released)
