"""The worker's main loop: fetches jobs, hands them to the pools, and stores their outcomes."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...core.backoff import LoggedBackoff
from ...core.job import Job, Outcome
from ...core.threads.queries import forget_queries
from ...log.labels import bind
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...metrics.tally import Tally
from ...queues import Claim, Queue
from ...queues.timeouts import set_store_timeout
from ...queues.workers import WorkerState
from ..backoff import QueueBackoff
from ..claimed_job import ClaimedJob
from ..outcomes.inbox import OutcomeInbox
from ..pools.event_loop import EventLoopPool
from ..pools.request_priority import RequestPriority
from ..pools.threads import ThreadPool
from .closed_limits import ClosedLimits
from .deadline import ShutdownDeadline
from .drain_group import DrainGroup
from .draining import Draining
from .hand_back import HandBack
from .held_jobs import HeldJobs
from .quietness import Quietness

logger = get_logger("django_loco.worker")

#: The longest time between two fetches, give or take a fifth.
POLL_SECONDS = 1.0
#: The wait before the next fetch if the last one found some jobs, but fewer than there was room for.
LINGER_SECONDS = 0.005
#: The time between two checks for dead threads and for commands. Each idle turn makes one check.
CHECK_SECONDS = 0.7


class Fetcher:
    """Moves jobs from the queue to the pools, and outcomes back, in a thread of its own.

    In each turn it

    1. collects the outcomes that came in during the last turn;
    2. stores them and asks for as many jobs as there is room for, in one call if the queue can do that;
    3. hands the jobs to the pools;
    4. and if there is room for more, waits for an outcome, a new job, a stop, or the next poll.

    After a fetch that has found jobs the wait is short, because the queue may have more. It lets the threads of the
    jobs have the interpreter at once, and the outcome of a short job is stored by the next fetch.

    It ends after ``stop``, or by itself after ``drain`` or ``max_jobs``, when it holds no more jobs.
    """

    def __init__(
        self,
        queue: Queue,
        claim: Claim,
        pools: tuple[ThreadPool, EventLoopPool],
        held: dict[str, ClaimedJob],
        inbox: OutcomeInbox,
        *,
        drain: bool = False,
        drain_group: DrainGroup | None = None,
        max_jobs: int | None = None,
        on_accepted: Callable[[ClaimedJob, Outcome], None] = lambda *_: None,
        tally: Tally | None = None,
        request_priority: RequestPriority | None = None,
        others_are_done: Callable[[], bool] = lambda: True,
        obey: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts nothing.

        Args:
            queue, pools: where the jobs are, and what runs them.
            claim: which jobs to ask for; the fetcher fills in the numbers.
            held: the jobs that the worker holds, by id; shared with the heartbeat.
            inbox: where the pools leave outcomes.
            drain, drain_group, max_jobs: see ``Worker``; ``tally`` counts the outcomes that the queue has accepted.
            on_accepted: called when the queue has accepted an outcome that is still to be announced.
            request_priority: knows whether web requests are waiting.
            others_are_done: whether no other part of the worker may cause jobs; asked before it ends by itself.
            obey: reads a command from the queue and obeys it.
            clock: ``time.monotonic``.
        """
        self.backoff = QueueBackoff("fetch and finish jobs", queue)
        self._replacements = LoggedBackoff(logger, "The worker", "replace a thread that has died", 0.0, 0.0)
        self.last_turn = clock()
        """When the queue last answered, or when there was last no need to ask it, by ``clock``."""
        self.last_try = clock()
        """When it last began to ask."""
        self.wants_jobs = threading.Event()
        """Set while there is room for more jobs than the queue had."""
        self.stopping = threading.Event()
        """Set once it is to end."""
        self.jobs = HeldJobs(queue, pools, held, on_accepted=on_accepted, tally=tally, clock=clock)
        self._queue, self._claim, self._pools, self._inbox = queue, claim, pools, inbox
        self._acknowledger = self.jobs.acknowledger
        self._shutdown = ShutdownDeadline(clock)
        self._hand_back = HandBack(self.jobs, pools, self._shutdown, clock)
        self._max_jobs = max_jobs
        self._request_priority = request_priority or RequestPriority()
        self._obey, self._clock = obey, clock
        self._quietness, self._closed_limits = Quietness(pools), ClosedLimits(clock)
        self._draining = Draining(
            queue, is_on=drain, group=drain_group, others_are_done=others_are_done, look_again=inbox.wake.set
        )
        self._is_retired = self._has_room = False
        self._next_check = clock()
        self._end_pause = threading.Event()

    def quiet(self, *, for_now: bool = False) -> None:
        """Fetch no more, and hand back the jobs that have not begun. ``for_now``: until ``resume``."""
        self._quietness.begin(for_now=for_now)
        self._inbox.wake.set()

    def resume(self) -> bool:
        """Fetch jobs again unless it is quiet for good; return whether it does."""
        does = self._quietness.end()
        self._inbox.wake.set()
        return does

    def drain(self, group: DrainGroup | None = None) -> None:
        """End when no job is due and none runs, in this worker and in the other workers of ``group``."""
        self._draining.begin(group)
        self._inbox.wake.set()

    def retire(self) -> None:
        """End when the jobs that have begun have ended."""
        self._is_retired = True
        self.drain()
        self.quiet()

    def stop(self, deadline: float) -> None:
        """End by ``deadline`` (``time.monotonic()``, seconds)."""
        self._shutdown.set(deadline)
        self.stopping.set()
        self._end_pause.set()
        self.quiet()

    @property
    def state(self) -> WorkerState:
        """Whether it takes jobs."""
        if self.stopping.is_set() or self._is_retired:
            return WorkerState.STOPPING
        return WorkerState.QUIET if self._quietness.is_on else WorkerState.RUNNING

    @property
    def has_reached_limit(self) -> bool:
        """Whether it ends or has ended although jobs may be left in the queue."""
        return self._is_retired or self._jobs_left() == 0

    def run(self) -> None:
        """Take turns until the end; the body of the thread."""
        bind(component="worker")
        set_store_timeout()
        try:
            while not self._is_over():
                self._guarded_turn()
            self._hand_back.finish(self._collect, self._inbox.wake, self.backoff.failed)
            self._draining.log_leftovers()
        except BaseException:
            logger.critical("The worker has died; its jobs will be rescued by others", exc_info=True)
        finally:
            for pool in self._pools:
                pool.close()
            self.backoff.close_connection()
            if not self._shutdown.has_begun:  # else the process ends, or another worker takes its place
                self._draining.leave()

    def _is_over(self) -> bool:
        if self._shutdown.has_begun and self._clock() >= self._shutdown.deadline:
            return True
        return not self.jobs and (self._shutdown.has_begun or self._jobs_left() == 0 or self._is_drained())

    def _is_drained(self) -> bool:
        return self._draining.is_on and (self._draining.found_nothing or self._quietness.is_on)

    def _guarded_turn(self) -> None:
        self.last_try = self._clock()
        try:
            wait = self._turn()
        except BaseException as error:  # noqa: BLE001 - logged by the back-off
            self._end_pause.wait(min(self.backoff.failed(error), self._shutdown.max_wait))
            self._end_pause.clear()
            return
        self.backoff.succeeded()
        self.last_turn = self._clock()
        if wait > 0 and not self._is_over():
            self._inbox.wake.wait(wait)
        self._inbox.wake.clear()

    @property
    def _max_wait(self) -> float:
        poll = POLL_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        return min(poll, self._shutdown.max_wait, self.jobs.max_wait)

    def _turn(self) -> float:
        """Return the seconds to wait for more work before the next turn."""
        has_to_check = self._clock() >= self._next_check
        if has_to_check:
            self._replace_dead_threads()
            forget_queries()
        self._collect()
        self._hand_back.near_deadline()
        asked_at, had_outcomes = time.monotonic(), len(self._acknowledger) > 0
        jobs = self._exchange()
        self._hand_over(jobs, asked_at)
        if has_to_check:
            self._obey()  # after the fetch, which may have read the command
        if not jobs:
            return 0.0 if self._draining.is_on and had_outcomes else self._max_wait
        return LINGER_SECONDS if self._has_room else 0.0

    def _replace_dead_threads(self) -> None:
        self._next_check = self._clock() + CHECK_SECONDS
        try:
            for pool in self._pools:
                pool.replace_dead()
        except BaseException as error:  # noqa: BLE001 - the next check may succeed
            self._replacements.failed(error)
        else:
            self._replacements.succeeded()

    def _collect(self) -> None:
        self.jobs.collect(self._inbox.take())
        self.jobs.release_waiting(only_stale=not self._quietness.is_on)

    def _exchange(self) -> Sequence[Job]:
        """Store the outcomes and fetch jobs. A suspect is fetched only when the end of the previous one is stored."""
        if self._claim.suspects:
            self._acknowledger.flush()
        claim = self._next_claim()
        if claim is None:
            self._acknowledger.flush()
            self._draining.note_no_fetch()
            return ()
        self._request_priority.wait_for_requests()
        may_end, began_at = self._draining.may_end(holds_jobs=bool(self.jobs)), self._clock()
        jobs = self._acknowledger.exchange(claim)
        self._draining.note_fetch(claim, began_at, is_last=may_end and not jobs)
        self._has_room = len(jobs) < claim.threads + claim.coroutines
        if self._has_room:
            self.wants_jobs.set()
        return jobs

    def _next_claim(self) -> Claim | None:
        if self._claim.suspects:
            self._retire_if_not_alone()
        if self._quietness.is_on or (self._claim.suspects and self.jobs):
            return None
        # Near ``max_jobs``, it asks for that many of each kind, and releases the surplus.
        threads, coroutines = (min(room, self._jobs_left()) for room in self.jobs.room)
        return replace(self._claim, threads=threads, coroutines=coroutines) if threads or coroutines else None

    def _retire_if_not_alone(self) -> None:
        """End this worker if an earlier suspect has left a thread.

        A suspect must run alone, and only the end of the process ends such a thread.
        """
        if any(pool.abandoned for pool in self._pools):
            self.retire()

    def _jobs_left(self) -> int:
        if self._max_jobs is None:
            return sys.maxsize
        return max(0, self._max_jobs - self.jobs.counts.total() - len(self.jobs))

    def _hand_over(self, jobs: Sequence[Job], asked_at: float) -> None:
        if self._claim.suspects:
            for job in jobs:
                logger.info(
                    "Job %s (%s) runs alone: %d workers died with it", job.id, one_line(job.task_path), job.lost
                )
        self.jobs.hand_over([self._claimed(job, asked_at) for job in jobs], self._jobs_left())

    def _claimed(self, job: Job, asked_at: float) -> ClaimedJob:
        claimed = ClaimedJob(job, self.stopping, self._queue.update, self._queue, self._closed_limits)
        claimed.valid_until = asked_at + self._claim.lease
        return claimed
