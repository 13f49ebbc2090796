"""Rescues that a queue did not answer: what they may have done, and nobody was told of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from ...core.job import FAILED, Job, utcnow
from ...exceptions import LostJob, QueueUnavailable
from ...queues import Queue

#: How many jobs that have failed are looked through, the newest first.
FAILED_BATCH = 1_000
#: A store may round the time at which a job has failed.
ROUNDING = timedelta(milliseconds=1)


class Unanswered:
    """Finds the jobs that have failed as lost in calls whose answers never came. Used by one thread.

    A rescue fails a job for good in the same call that says so. If the answer is lost, the job has failed or it has
    not, and the next rescue will not name it. So the jobs that have failed as lost while such calls were under way are
    looked up once the queue answers again. Another worker may have told of some of them as well: the end of a lost job
    is told at least once.
    """

    def __init__(self, queue: Queue) -> None:
        """Nothing is in doubt yet."""
        self._queue = queue
        self._since: datetime | None = None
        self._until = utcnow()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note, around a rescue, that its answer did not come."""
        began = utcnow()
        try:
            yield
        except QueueUnavailable:
            self._since, self._until = self._since or began, utcnow()
            raise

    def found(self) -> Sequence[Job]:
        """Return the jobs that may have been failed meanwhile, once. Raises what the queue raises."""
        if self._since is None:
            return ()
        since, until = self._since - ROUNDING, self._until + ROUNDING
        failed = self._queue.list(status=FAILED, limit=FAILED_BATCH)
        self._since = None
        return [job for job in failed if _is_lost(job) and job.finished_at and since <= job.finished_at <= until]


def _is_lost(job: Job) -> bool:
    path = f"{LostJob.__module__}.{LostJob.__qualname__}"
    return bool(job.errors) and job.errors[-1].exception_class_path == path
