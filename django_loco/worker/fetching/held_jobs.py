"""The jobs that a worker holds: from their fetch, through the pools, until their outcomes are stored."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from ...core.compat import TaskResultStatus
from ...core.job import Outcome
from ...jobs.operations.batches.follow_up import has_followers
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...metrics.tally import Tally
from ...queues import Queue
from ..claimed_job import ClaimedJob
from ..execution.unknown_task import UnknownTaskPaths
from ..outcomes.acknowledger import Acknowledger
from ..pools.event_loop import EventLoopPool
from ..pools.threads import ThreadPool
from .prefetch import Prefetch

logger = get_logger("django_loco.worker")


class HeldJobs:
    """Moves jobs to the pools and their outcomes to the acknowledger. For the fetcher's thread alone.

    1. ``hand_over`` gives each job to the pool of its kind.
    2. ``collect`` takes the outcomes that the pools have left; ``release`` makes one for a job that is handed back.
    3. When the acknowledger has stored its outcome, a job is held no longer.
    """

    def __init__(
        self,
        queue: Queue,
        pools: tuple[ThreadPool, EventLoopPool],
        by_id: dict[str, ClaimedJob],
        *,
        on_accepted: Callable[[ClaimedJob, Outcome], None],
        tally: Tally | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``by_id`` holds the jobs and is shared with the heartbeat. For the others see ``Fetcher``."""
        self.by_id = by_id
        self.threads, self.coroutines = (Prefetch(pool, clock) for pool in pools)
        self.acknowledger = Acknowledger(queue, self._remove, clock)
        self.counts: Counter[TaskResultStatus] = Counter()
        """The number of attempts that ended, by the status of the job after them."""
        self.handed_back = 0
        """The number of jobs that had begun and were handed back at the end."""
        self._overdue: set[ClaimedJob] = set()
        """The jobs whose outcomes were taken before the pools reported them."""
        self._unknown_tasks = UnknownTaskPaths(clock)
        self._on_accepted = on_accepted
        self._tally = tally or Tally()

    def __len__(self) -> int:
        return len(self.by_id)

    @property
    def max_wait(self) -> float:
        """Seconds until there is something to do for these jobs; infinite if there is nothing."""
        return min(self.threads.max_wait, self.coroutines.max_wait, self.acknowledger.max_wait)

    @property
    def room(self) -> tuple[int, int]:
        """The numbers of sync and of async jobs to ask for."""
        threads, coroutines = self.threads.room, self.coroutines.room
        return (
            threads + self._unknown_tasks.more(is_async=False) if threads else 0,
            coroutines + self._unknown_tasks.more(is_async=True) if coroutines else 0,
        )

    def progress(self) -> dict[str, int]:
        """Return their part of ``Worker.health``."""
        buffered = self.threads.waiting + self.coroutines.waiting
        return {
            "running": self.threads.held + self.coroutines.held - buffered,
            "buffered": buffered,
            "unstored": len(self.acknowledger),
            "refused": self.acknowledger.refused,
        }

    def hand_over(self, claimed_jobs: list[ClaimedJob], limit: int) -> None:
        """Give the pools up to ``limit`` of the jobs that were just fetched, and hand back the others."""
        for claimed in claimed_jobs:
            if claimed.job.id in self.by_id:  # its claim ran out; it was rescued, and fetched again here
                self.by_id[claimed.job.id].expired = True
            self.by_id[claimed.job.id] = claimed
        claimed_jobs = self._without_unknown(claimed_jobs)
        if len(claimed_jobs) > limit:
            self.release(claimed_jobs[limit:])
            del claimed_jobs[limit:]
        self._submit(self.threads, [claimed for claimed in claimed_jobs if not claimed.job.is_async])
        self._submit(self.coroutines, [claimed for claimed in claimed_jobs if claimed.job.is_async])

    def collect(self, ended: Sequence[tuple[ClaimedJob, Outcome]]) -> None:
        """Take the outcomes of jobs that have ended in the pools."""
        for claimed, outcome in ended:
            if claimed.import_error is not None:
                self._unknown_tasks.note(claimed.job, claimed.import_error)
            if claimed in self._overdue:
                continue
            if claimed.cancelled:
                self._remove(claimed, outcome)  # the queue has its end already
            elif self.by_id.get(claimed.job.id) is claimed:
                self.acknowledger.add(claimed, outcome)
            else:
                logger.warning(
                    "Job %s (%s) ended after its claim was lost", claimed.job.id, one_line(claimed.job.task_path)
                )
        coroutines = sum(claimed.job.is_async for claimed, _ in ended)
        self.coroutines.note_ended(coroutines)
        self.threads.note_ended(len(ended) - coroutines)

    def release_waiting(self, *, only_stale: bool) -> None:
        """Hand back the jobs that have not begun; with ``only_stale`` only jobs that have been waiting for too long."""
        for prefetch in (self.threads, self.coroutines):
            self.release(prefetch.withdraw_stale() if only_stale else prefetch.withdraw())

    def release_all(self) -> None:
        """Hand back all jobs whose outcome is not decided yet.

        Store the outcomes of the others, which are still announced.
        """
        claimed_jobs = tuple(self.by_id.values())
        self.release(claimed_jobs)
        for claimed in claimed_jobs:
            if claimed.outcome is not None and not claimed.ended:
                claimed.ended = True
                self._overdue.add(claimed)  # its thread may be leaving the outcome at this moment
                self.acknowledger.add(claimed, claimed.outcome)

    def release(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        """Hand back jobs, unless their outcome is decided."""
        for claimed in claimed_jobs:
            if claimed.decide():
                claimed.released = claimed.ended = True
                outcome = Outcome.released(claimed.job)
                claimed.end_span(outcome)
                self.acknowledger.add(claimed, outcome)

    def _without_unknown(self, claimed_jobs: list[ClaimedJob]) -> list[ClaimedJob]:
        """Put off the jobs whose tasks are known to be missing here; return the others."""
        absent = self._unknown_tasks.take(claimed_jobs)
        for claimed, outcome in absent:
            if claimed.decide():
                self.acknowledger.add(claimed, outcome)
        return [claimed for claimed in claimed_jobs if not claimed.is_decided] if absent else claimed_jobs

    def _submit(self, prefetch: Prefetch, claimed_jobs: Sequence[ClaimedJob]) -> None:
        if len(claimed_jobs) > (room := prefetch.room):
            self.release(claimed_jobs[room:])
        if claimed_jobs := claimed_jobs[:room]:
            prefetch.submit(claimed_jobs)

    def _remove(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        """Stop tracking a job whose ``outcome`` was stored, refused as too late, or dropped."""
        if self.by_id.get(claimed.job.id) is claimed:
            del self.by_id[claimed.job.id]
        was_handed_back = claimed.was_handed_back
        if claimed.cancelled or not claimed.refused:  # the queue refuses updates of a cancelled job, but has its end
            if (
                claimed.announcement is not None
                or was_handed_back
                or has_followers(claimed.job)
                or claimed.was_replaced_by(outcome)
            ):
                self._on_accepted(claimed, outcome)
            self._count(claimed, outcome)
        self.handed_back += was_handed_back
        if outcome.spent:
            self.counts[outcome.status] += 1

    def _count(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        began_at, duration = claimed.began_at, claimed.duration
        if duration is None and began_at is not None:  # handed back while it runs
            duration = time.monotonic() - began_at
        is_cancelled = claimed.cancelled is not None
        self._tally.ended(outcome, claimed.fetched_at, began_at, duration, is_cancelled=is_cancelled)
