"""The worker's loop: fetch, hand to a pool, finish."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..core.compat import TaskResultStatus
from ..core.job import Job, Outcome
from ..log.labels import bind
from ..log.plain_text import one_line
from ..log.safe import get_logger
from ..queues import Claim, Queue
from ..queues.timeouts import set_store_timeout
from .acknowledger import Acknowledger
from .backoff import QueueBackoff
from .claimed_job import ClaimedJob
from .deadline import ShutdownDeadline
from .execution.unknown_task import MissingTasks
from .outcome_inbox import OutcomeInbox
from .pools.event_loop import EventLoopPool
from .pools.request_priority import RequestPriority
from .pools.threads import ThreadPool
from .prefetch import Prefetch

logger = get_logger("django_loco.worker")

#: At the latest so many seconds after one fetch comes the next, give or take a fifth.
POLL = 1.0
#: Seconds between two looks at whether threads of the pools have died.
LOOK_EVERY = 1.0
#: Seconds that outcomes have to come in when the deadline has passed.
LAST_MOMENT = 0.5


class Fetcher:
    """The thread that moves jobs from the queue to the pools, and outcomes back.

    Each turn it

    1. collects the outcomes that have come in, all that gathered during the last turn;
    2. stores them and asks for as many jobs as there is room for, in one call if the queue can;
    3. hands those to the pools;
    4. and if there were none, waits until the bell rings: an outcome, a new job, a stop; or until it is time to look.

    It ends after ``stop``, or by itself after ``drain`` or ``max_jobs``, when no job is left in its hands.
    """

    def __init__(
        self,
        queue: Queue,
        claim: Claim,
        pools: tuple[ThreadPool, EventLoopPool],
        held: dict[str, ClaimedJob],
        finished: OutcomeInbox,
        *,
        drain: bool = False,
        max_jobs: int | None = None,
        on_accepted: Callable[[ClaimedJob, Outcome], None] = lambda *_: None,
        request_priority: RequestPriority | None = None,
        others_are_done: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``claim``: what to ask for, but for the numbers. ``held``: the runs by job id, shared with the heartbeat.

        ``on_accepted`` is called with runs whose ends are still to be told, when the queue has accepted them.
        ``others_are_done`` is asked before it ends after ``drain``.
        """
        self.backoff = QueueBackoff("fetch and finish jobs", queue)
        self.last_turn = clock()
        """When the queue last answered, or had not to be asked, by ``clock``."""
        self.last_try = clock()
        """When it last began to ask."""
        self.counts: Counter[TaskResultStatus] = Counter()
        """How many attempts ended, by what they made of the job."""
        self.handed_back = 0
        """How many jobs that had begun were handed back at the end."""
        self.wants_jobs = threading.Event()
        """Set while there is room for more jobs than the queue had."""
        self.stopping = threading.Event()
        """Set once it is to end."""
        self.draining = drain
        self.threads, self.coroutines = (Prefetch(pool, clock) for pool in pools)
        self._queue = queue
        self._wanted = claim
        self._pools = pools
        self._held = held
        self._inbox = finished
        self._acknowledger = Acknowledger(queue, self._gone, clock)
        self._shutdown = ShutdownDeadline(clock)
        self._max_jobs = max_jobs
        self._on_accepted = on_accepted
        self._request_priority = request_priority or RequestPriority()
        self._missing = MissingTasks(clock)
        self._others_are_done = others_are_done
        self._clock = clock
        self._quiet = self._is_retired = False
        self._found_nothing = False
        self._next_look = clock()
        self._hurry = threading.Event()

    def quiet(self) -> None:
        """Fetch no more, and hand back what has not begun."""
        self._quiet = True
        self._inbox.wake.set()

    def drain(self) -> None:
        """End when nothing is due and nothing runs."""
        self.draining = True
        self._inbox.wake.set()

    def retire(self) -> None:
        """End when what has begun has ended."""
        self._is_retired = True
        self.drain()
        self.quiet()

    @property
    def is_spent(self) -> bool:
        """Whether it ends, or has ended, though there may be jobs left."""
        return self._is_retired or self._jobs_left() == 0

    def stop(self, deadline: float) -> None:
        """End by ``deadline`` (``time.monotonic()``, seconds)."""
        self._shutdown.set(deadline)
        self.stopping.set()
        self._hurry.set()
        self.quiet()

    @property
    def unstored(self) -> int:
        """How many outcomes wait for the queue."""
        return len(self._acknowledger)

    def run(self) -> None:
        """Take turns to the end; the body of the thread."""
        bind(component="worker")
        set_store_timeout()
        try:
            while not self._is_over():
                self._guarded_turn()
            self._hand_back()
        except BaseException:
            logger.critical("The worker has died; its jobs will be found by others", exc_info=True)
        finally:
            for pool in self._pools:
                pool.close()
            self.backoff.close_connection()

    def _is_over(self) -> bool:
        if self._shutdown.has_begun and self._clock() >= self._shutdown.deadline:
            return True
        return not self._held and (self._shutdown.has_begun or self._jobs_left() == 0 or self._is_drained())

    def _is_drained(self) -> bool:
        return self.draining and (self._found_nothing or self._quiet)

    def _guarded_turn(self) -> None:
        self.last_try = self._clock()
        try:
            found = self._turn()
        except BaseException as error:  # noqa: BLE001 - logged by the back-off
            self._hurry.wait(min(self.backoff.failed(error), self._shutdown.max_wait))
            self._hurry.clear()
            return
        self.backoff.succeeded()
        self.last_turn = self._clock()
        if not found and not self._is_over():
            self._inbox.wake.wait(self._max_wait)
        self._inbox.wake.clear()

    @property
    def _max_wait(self) -> float:
        poll = POLL * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        waits = (self._shutdown, self.threads, self.coroutines, self._acknowledger)
        return min(poll, *(part.max_wait for part in waits))

    def _turn(self) -> bool:
        self._mend()
        self._collect()
        self._wind_down()
        asked_at = time.monotonic()
        jobs = self._exchange()
        self._hand_over(jobs, asked_at)
        return bool(jobs)

    def _mend(self) -> None:
        if self._clock() >= self._next_look:
            self._next_look = self._clock() + LOOK_EVERY
            try:
                for pool in self._pools:
                    pool.mend()
            except BaseException:  # the system has no more threads: the next look may do better
                logger.exception("A thread for jobs that has died could not be replaced")

    def _collect(self) -> None:
        ended = self._inbox.take()
        for claimed, outcome in ended:
            if claimed.missing is not None:
                self._missing.note(claimed.job, claimed.missing)
            if self._held.get(claimed.job.id) is claimed:
                self._acknowledger.add(claimed, outcome)
            else:
                logger.warning(
                    "Job %s (%s) ended after its claim was lost", claimed.job.id, one_line(claimed.job.task_path)
                )
        coroutines = sum(claimed.job.is_async for claimed, _ in ended)
        self.coroutines.take_back(coroutines)
        self.threads.take_back(len(ended) - coroutines)
        for prefetch in (self.threads, self.coroutines):
            self._release(prefetch.withdraw() if self._quiet else prefetch.withdraw_stale())

    def _wind_down(self) -> None:
        """Near the deadline of a stop: cancel what can be cancelled, then hand back what has not ended."""
        now = self._clock()
        if now >= self._shutdown.cancel_at:
            for pool in self._pools:
                pool.cancel()
        if now >= self._shutdown.release_at:
            self._release(tuple(self._held.values()))

    def _hand_back(self) -> None:
        """At the very end: release what is left, which is something only if the deadline came too soon.

        Jobs that have just ended, but whose outcomes are still on their way here, get a moment more.
        """
        until = self._clock() + LAST_MOMENT
        self._collect()
        self._release(tuple(self._held.values()))
        try:
            self._acknowledger.flush()
            while self._held and self._clock() < until:
                self._inbox.wake.wait(min(until - self._clock(), self._acknowledger.max_wait))
                self._inbox.wake.clear()
                self._collect()
                self._acknowledger.flush()
        except BaseException as error:  # noqa: BLE001 - logged by the back-off
            self.backoff.failed(error)
        if left := len(self._acknowledger):
            logger.error("%d outcomes could not be stored; those jobs will be run again", left)

    def _exchange(self) -> Sequence[Job]:
        """Finish these, give me those; a suspect is not asked for before the end of the one before it is stored."""
        if self._wanted.suspects:
            self._acknowledger.flush()
        claim = self._claim()
        if claim is None:
            self._acknowledger.flush()
            self._found_nothing = False
            return ()
        self._request_priority.wait_for_requests()
        draining = self.draining  # as it was before: only what is enqueued after ``drain`` may be missed
        jobs = self._acknowledger.exchange(claim)
        self._found_nothing = draining and not jobs and self._others_are_done()
        if len(jobs) < claim.threads + claim.coroutines:
            self.wants_jobs.set()
        return jobs

    def _claim(self) -> Claim | None:
        if self._quiet or (self._wanted.suspects and not self._is_alone()):
            return None
        # With few jobs left to run, each kind is asked for that many; what is too much goes back at once.
        most = self._jobs_left()
        threads = min(_with_more(self.threads, self._missing.more(is_async=False)), most)
        coroutines = min(_with_more(self.coroutines, self._missing.more(is_async=True)), most)
        return replace(self._wanted, threads=threads, coroutines=coroutines) if threads or coroutines else None

    def _is_alone(self) -> bool:
        """Whether a suspect would be alone here: the one before it is off our hands, and has left no thread."""
        if any(pool.abandoned for pool in self._pools):
            self.retire()
        return not self._quiet and not self._held

    def _jobs_left(self) -> int:
        if self._max_jobs is None:
            return sys.maxsize
        return max(0, self._max_jobs - self.counts.total() - len(self._held))

    def _claimed_job(self, job: Job, asked_at: float) -> ClaimedJob:
        claimed = ClaimedJob(job, self.stopping, self._queue.checkpoint)
        claimed.valid_until = asked_at + self._wanted.lease
        return claimed

    def _hand_over(self, jobs: Sequence[Job], asked_at: float) -> None:
        most = self._jobs_left()
        claimed_jobs = [self._claimed_job(job, asked_at) for job in jobs]
        for job in jobs if self._wanted.suspects else ():
            logger.info("Job %s (%s) runs alone: %d workers died with it", job.id, one_line(job.task_path), job.lost)
        for claimed in claimed_jobs:
            if claimed.job.id in self._held:  # its claim ran out, and it was rescued and fetched once more
                self._held[claimed.job.id].lost = True
            self._held[claimed.job.id] = claimed
        claimed_jobs = self._without_missing(claimed_jobs)
        if len(claimed_jobs) > most:
            self._release(claimed_jobs[most:])
            del claimed_jobs[most:]
        self._give(self.threads, [claimed for claimed in claimed_jobs if not claimed.job.is_async])
        self._give(self.coroutines, [claimed for claimed in claimed_jobs if claimed.job.is_async])

    def _without_missing(self, claimed_jobs: list[ClaimedJob]) -> list[ClaimedJob]:
        """Put off what is known to be impossible here; return the others."""
        absent = self._missing.take(claimed_jobs)
        for claimed, outcome in absent:
            if claimed.settle():
                self._acknowledger.add(claimed, outcome)
        return [claimed for claimed in claimed_jobs if not claimed.is_settled] if absent else claimed_jobs

    def _give(self, prefetch: Prefetch, claimed_jobs: Sequence[ClaimedJob]) -> None:
        if len(claimed_jobs) > (room := prefetch.room):
            self._release(claimed_jobs[room:])
        if claimed_jobs := claimed_jobs[:room]:
            prefetch.hand(claimed_jobs)

    def _release(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        for claimed in claimed_jobs:
            if claimed.settle():
                claimed.cancelled = claimed.ended = True
                self._acknowledger.add(claimed, Outcome.released(claimed.job))

    def _gone(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        if self._held.get(claimed.job.id) is claimed:
            del self._held[claimed.job.id]
        if not claimed.refused and (claimed.announcement is not None or claimed.was_replaced_by(outcome)):
            self._on_accepted(claimed, outcome)
        self.handed_back += claimed.started and claimed.cancelled
        if outcome.spent:
            self.counts[outcome.status] += 1


def _with_more(prefetch: Prefetch, more: int) -> int:
    return prefetch.room + more if prefetch.room else 0
