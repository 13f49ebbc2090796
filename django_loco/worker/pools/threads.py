"""The pool of threads for sync jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from queue import Empty, SimpleQueue

from ...core.job import Outcome
from ...core.threads import DaemonThread
from ...core.threads.stacks import stack_of_thread
from ...exceptions import JobTimeout
from ...log.safe import get_logger
from ..claimed_job import ClaimedJob
from ..execution.attempt import Attempt, put_off
from ..execution.connections import drop_all, tidy
from ..execution.contexts import context_for_jobs
from ..execution.executor import execute, give_up
from ..execution.interrupter import ThreadInterrupter, TimeLimit
from ..execution.timeouts import GRACE, unstoppable
from .request_priority import RequestPriority

logger = get_logger("django_loco.worker")

#: Seconds between the interruption of a thread and its next job.
PAUSE = 0.1

#: Called with a run and its outcome, in whatever thread decided it.
Report = Callable[[ClaimedJob, Outcome], None]


class ThreadPool:
    """Runs sync jobs, ``size`` at a time.

    Threads are started one by one, when there is a job for one more, and then stay: each may hold a connection per
    database and a stack, which a site with little to do need not pay for ten times over.

    Jobs reach the threads through one queue, which is what keeps the cost per job low: a busy thread takes its next
    job without asking a lock or the fetcher, and only an idle one has to be woken.
    """

    def __init__(
        self,
        size: int,
        alias: str,
        report: Report,
        grace: float = GRACE,
        request_priority: RequestPriority | None = None,
    ) -> None:
        """``alias``: the one in ``TASKS`` whose jobs these are. ``grace``: see ``limits``, in seconds."""
        self.size = size
        self._alias = alias
        self._report = report
        self._inbox: SimpleQueue[ClaimedJob | None] = SimpleQueue()
        self._interrupter = ThreadInterrupter(self._replace, drop_all, grace)
        self._request_priority = request_priority or RequestPriority()
        self._closed = threading.Event()
        self._threads: list[JobThread] = []
        self._abandoned: list[JobThread] = []
        self._lock = threading.Lock()
        self._started = 0

    def submit(self, claimed_jobs: Sequence[ClaimedJob], held: int) -> None:
        """Run ``runs`` when there is a thread for them; ``held`` is how many the pool has with them."""
        for claimed in claimed_jobs:
            self._inbox.put(claimed)
        try:
            with self._lock:
                while len(self._threads) < min(self.size, held):
                    self._start_thread()
        except BaseException:  # The system has no more threads. What nobody begins with is handed back in a second.
            logger.exception("Of %d threads for jobs only %d could be started", self.size, len(self._threads))

    def warm_up(self) -> None:
        """Start all threads, jobs or no jobs."""
        with self._lock:
            while len(self._threads) < self.size:
                self._start_thread()

    def withdraw(self, limit: int) -> list[ClaimedJob]:
        """Take back up to ``limit`` runs that no thread has begun with, those that wait longest first."""
        taken: list[ClaimedJob] = []
        while len(taken) < limit:
            try:
                claimed = self._inbox.get_nowait()
            except Empty:
                break
            if claimed is None:  # closed: the threads need it
                self._inbox.put(None)
                break
            taken.append(claimed)
        return taken

    def cancel(self) -> None:
        """Nothing: threads cannot be told from outside; their jobs see ``context.stopping``."""

    def close(self) -> None:
        """End each thread after the job it is in, if any."""
        self._closed.set()
        self._inbox.put(None)
        self._interrupter.end()

    def join(self, timeout: float) -> bool:
        """Wait for the threads, ``timeout`` seconds at most; return whether none is left but those inside a job."""
        deadline = time.monotonic() + timeout
        watch_ended = self._interrupter.join(timeout)  # first: it may be about to replace a thread
        free = [thread for thread in self._threads if not thread.busy]
        for thread in free:
            thread.join(max(0.0, deadline - time.monotonic()))
        return watch_ended and not any(thread.is_alive() for thread in free)

    @property
    def abandoned(self) -> int:
        """How many threads were given up and still run."""
        return sum(thread.is_alive() for thread in self._abandoned)

    def attend(self, claimed: ClaimedJob, context: Context) -> None:
        """Run a job in the calling thread, in a copy of ``context``, and report its outcome."""
        claimed.started = True
        try:
            outcome = context.copy().run(execute, claimed, self._interrupter.call)
        except BaseException as error:
            logger.exception("Job %s could not be run", claimed.job.id)
            outcome = claimed.outcome_or(put_off(claimed.job, error))
        tidy()
        if outcome is not None:
            self._report(claimed, outcome)

    def recover(self, claimed: ClaimedJob, error: BaseException) -> None:
        """Report a run that was left without an end, by a thread that ``error`` has interrupted."""
        outcome = claimed.outcome_or(put_off(claimed.job, error))
        if outcome is not None:
            self._report(claimed, outcome)

    def replace_dead(self) -> None:
        """Replace threads that have died, though none should; called now and then by the fetcher."""
        if self._closed.is_set():
            return
        for thread in self._dead():
            logger.critical("The thread %s has died and is replaced", thread.name)
            claimed, thread.current = thread.current, None
            if claimed is not None:
                self.recover(claimed, RuntimeError(f"the thread {thread.name} has died"))
            with self._lock:
                self._start_thread()
                self._threads.remove(thread)

    @property
    def missing(self) -> int:
        """How many threads have died and are not replaced yet."""
        return 0 if self._closed.is_set() else len(self._dead())

    def _dead(self) -> list[JobThread]:
        return [thread for thread in tuple(self._threads) if not thread.is_alive()]

    def pause(self) -> None:
        """Wait a moment, or for the end of the pool."""
        self._closed.wait(PAUSE)

    def job_context(self) -> Context:
        """Return the context of which each job of the calling thread gets a copy."""
        return context_for_jobs(self._alias)

    def next_job(self) -> ClaimedJob | None:
        """Wait for a run to attend to; ``None``: the pool is closed.

        Connections are tidied after each job. Only those that have been idle since can have grown old.
        """
        self._request_priority.wait_for_requests()
        try:
            claimed = self._inbox.get_nowait()
        except Empty:
            claimed = self._inbox.get()
            tidy()
        if claimed is None:
            self._inbox.put(None)
        return claimed

    def rest(self, computed: float) -> None:
        """Rest after a job that has computed for so many seconds, if there are requests to be answered."""
        if seconds := self._request_priority.rest_after(computed):
            self._closed.wait(seconds)

    def _start_thread(self, first: Callable[[], None] | None = None) -> None:
        self._started += 1
        thread = JobThread(self, f"loco-worker-{self._started}", first, rests=bool(self._threads))
        thread.start()
        self._threads.append(thread)

    def _replace(self, time_limit: TimeLimit) -> None:
        """Give up a thread that does not come back from its job; called by the watch."""
        attempt, thread = time_limit.attempt, time_limit.thread
        if not isinstance(thread, JobThread) or not attempt.claimed.settle():
            return
        attempt.claimed.thread = (
            threading.current_thread()
        )  # its thread may come back, and then the run would have none
        thread.given_up = True
        report = partial(self._report_stuck, attempt, stack_of_thread(thread.ident))
        try:
            with self._lock:
                self._threads.remove(thread)
                self._abandoned = [*(other for other in self._abandoned if other.is_alive()), thread]
                self._start_thread(report)
        except RuntimeError:  # the system gives no more threads
            report()
            raise

    def _report_stuck(self, attempt: Attempt, stack: str) -> None:
        """Tell how a job that was given up has ended: the first thing that its thread's successor does."""
        attempt.claimed.thread = threading.current_thread()
        error = JobTimeout(unstoppable(attempt.policy.timeout or 0))
        error.add_note(f"When it was given up, its thread was at:\n{stack}")
        self._report(attempt.claimed, Context().run(give_up, attempt, error))


class JobThread(DaemonThread):
    """One thread of a pool: takes runs until the pool is closed, or until it has been given up itself."""

    def __init__(self, pool: ThreadPool, name: str, first: Callable[[], None] | None, *, rests: bool = False) -> None:
        """``first`` is to be done before the first run; ``rests``: see ``courtesy``."""
        super().__init__(name=name)
        self.given_up = False
        self.current: ClaimedJob | None = None
        """What it is busy with."""
        self._pool = pool
        self._first = first
        self._rests = rests

    def run(self) -> None:
        """Work until there is no more to do, whatever is raised in here from outside of a job."""
        while not self._has_worked():
            self._pool.pause()
        drop_all()

    @property
    def busy(self) -> bool:
        """Whether it is inside a job."""
        return self.current is not None

    def _has_worked(self) -> bool:
        try:
            self._work()
        except BaseException as error:
            logger.critical("The thread %s was interrupted and goes on", self.name, exc_info=True)
            claimed, self.current = self.current, None
            if claimed is not None:
                self._pool.recover(claimed, error)
            return False
        return True

    def _work(self) -> None:
        context = self._pool.job_context()
        first, self._first = self._first, None
        if first is not None:
            first()
        while not self.given_up and (claimed := self._pool.next_job()) is not None:
            self.current, claimed.thread = claimed, self
            begun = time.thread_time()
            self._pool.attend(claimed, context)
            self.current = None
            if claimed.thread is self:
                claimed.thread = None
            if self._rests:
                self._pool.rest(time.thread_time() - begun)
