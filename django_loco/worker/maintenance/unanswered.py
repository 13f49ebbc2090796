"""Finds the jobs that failed in a rescue whose answer never arrived, so that their ends are announced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from ...core.imports import path_of
from ...core.job import FAILED, Job, utcnow
from ...exceptions import LostJob, QueueUnavailable
from ...queues import Queue

#: The number of newest failed jobs that are searched.
FAILED_BATCH = 1_000
#: Allows for a store that rounds the time at which a job failed.
ROUNDING = timedelta(milliseconds=1)


class Unanswered:
    """Finds the jobs that have failed as lost in calls whose answers never arrived. Used by one thread.

    A rescue fails a job and returns it in one call. If the answer does not arrive, the job may have failed, and the
    next rescue does not return it. So when the queue answers again, the jobs that failed as lost during such calls are
    looked up. Another worker may have announced some of them already: the end of such a job is announced at least once.
    """

    def __init__(self, queue: Queue) -> None:
        """``queue`` is the queue of the rescues."""
        self._queue = queue
        self._since: datetime | None = None
        self._until = utcnow()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Remember the time of the rescue within the ``with`` block if its answer did not arrive."""
        began = utcnow()
        try:
            yield
        except QueueUnavailable:
            self._since, self._until = self._since or began, utcnow()
            raise

    def found(self) -> Sequence[Job]:
        """Return each job that may have failed in those calls, once. Raises the queue's errors."""
        if self._since is None:
            return ()
        since, until = self._since - ROUNDING, self._until + ROUNDING
        failed = self._queue.list(status=FAILED, limit=FAILED_BATCH)
        self._since = None
        return [job for job in failed if _is_lost(job) and job.finished_at and since <= job.finished_at <= until]


def _is_lost(job: Job) -> bool:
    return bool(job.errors) and job.errors[-1].exception_class_path == path_of(LostJob)
