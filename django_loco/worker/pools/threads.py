"""The pool for sync jobs: threads that each run one job at a time."""

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
from ..execution.attempt import GRACE_SECONDS, Attempt, put_off, unstoppable
from ..execution.connections import drop_all, tidy
from ..execution.executor import context_for_jobs, execute, give_up
from ..execution.interrupter import ThreadInterrupter, TimeLimit
from .request_priority import RequestPriority

logger = get_logger("django_loco.worker")

#: The time between an exception outside of a job and the thread's next job.
PAUSE_SECONDS = 0.1

#: Called with a job and its outcome, in the thread that decided on it.
Report = Callable[[ClaimedJob, Outcome], None]


class ThreadPool:
    """Runs sync jobs, ``size`` at a time.

    A thread is started when there is a job that no other thread can take, and then stays. So a site with few jobs does
    not hold a stack and a connection per database for threads that it does not need.

    Jobs reach the threads through one queue, which keeps the cost per job low: a busy thread takes its next job without
    asking the fetcher, and only an idle thread has to be woken.
    """

    def __init__(
        self,
        size: int,
        alias: str,
        report: Report,
        grace: float = GRACE_SECONDS,
        request_priority: RequestPriority | None = None,
    ) -> None:
        """``alias`` is the key in ``TASKS`` of these jobs. ``grace``: see ``timeouts``, in seconds."""
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
        """Run ``runs`` when there are threads for them; ``held`` is the number of jobs that the pool has with them."""
        for claimed in claimed_jobs:
            self._inbox.put(claimed)
        try:
            with self._lock:
                while len(self._threads) < min(self.size, held):
                    self._start_thread()
        except BaseException:  # the system has no more threads; jobs that do not begin are handed back in a second
            logger.exception("Of %d threads for jobs only %d could be started", self.size, len(self._threads))

    def warm_up(self) -> None:
        """Start all threads at once."""
        with self._lock:
            while len(self._threads) < self.size:
                self._start_thread()

    def withdraw(self, limit: int) -> list[ClaimedJob]:
        """Take back up to ``limit`` runs that no thread has begun, the oldest first."""
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
        """Do nothing: a thread cannot be cancelled from outside. Its job sees ``context.stopping``."""

    def close(self) -> None:
        """End each thread after its present job."""
        self._closed.set()
        self._inbox.put(None)
        self._interrupter.end()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the threads; return whether none is left except those inside a job."""
        deadline = time.monotonic() + timeout
        interrupter_ended = self._interrupter.join(timeout)  # first, since it may be about to replace a thread
        free = [thread for thread in self._threads if not thread.busy]
        for thread in free:
            thread.join(max(0.0, deadline - time.monotonic()))
        return interrupter_ended and not any(thread.is_alive() for thread in free)

    @property
    def abandoned(self) -> int:
        """The number of threads that were given up and still run."""
        return sum(thread.is_alive() for thread in self._abandoned)

    def run_job(self, claimed: ClaimedJob, context: Context) -> None:
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

    def report_unfinished(self, claimed: ClaimedJob, error: BaseException) -> None:
        """Report a job without an outcome, whose thread ``error`` has interrupted."""
        outcome = claimed.outcome_or(put_off(claimed.job, error))
        if outcome is not None:
            self._report(claimed, outcome)

    def replace_dead(self) -> None:
        """Replace threads that have died, which none should; called now and then by the fetcher."""
        if self._closed.is_set():
            return
        for thread in self._dead():
            logger.critical("The thread %s has died and is replaced", thread.name)
            claimed, thread.current = thread.current, None
            if claimed is not None:
                self.report_unfinished(claimed, RuntimeError(f"the thread {thread.name} has died"))
            with self._lock:
                self._start_thread()
                self._threads.remove(thread)

    @property
    def missing(self) -> int:
        """The number of threads that have died and are not replaced yet."""
        return 0 if self._closed.is_set() else len(self._dead())

    def _dead(self) -> list[JobThread]:
        return [thread for thread in tuple(self._threads) if not thread.is_alive()]

    def pause(self) -> None:
        """Wait for ``PAUSE_SECONDS``, or until the pool is closed."""
        self._closed.wait(PAUSE_SECONDS)

    def job_context(self) -> Context:
        """Return the context of which each job of the calling thread gets a copy."""
        return context_for_jobs(self._alias)

    def next_job(self) -> ClaimedJob | None:
        """Wait for a job; ``None``: the pool is closed.

        Connections are tidied after each job, and again when the thread has been idle, since they may be too old.
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
        """Rest after a job that has ``computed`` for so many seconds, if this process serves requests."""
        if seconds := self._request_priority.rest_after(computed):
            self._closed.wait(seconds)

    def _start_thread(self, first: Callable[[], None] | None = None) -> None:
        self._started += 1
        thread = JobThread(self, f"loco-worker-{self._started}", first, rests=bool(self._threads))
        thread.start()
        self._threads.append(thread)

    def _replace(self, time_limit: TimeLimit) -> None:
        """Give up a thread whose job cannot be interrupted, and start another; called by the interrupter."""
        attempt, thread = time_limit.attempt, time_limit.thread
        if not isinstance(thread, JobThread) or not attempt.claimed.decide():
            return
        attempt.claimed.thread = (
            threading.current_thread()
        )  # its own thread may return, and then the job would have none
        thread.given_up = True
        report = partial(self._report_stuck, attempt, stack_of_thread(thread.ident))
        try:
            with self._lock:
                self._threads.remove(thread)
                self._abandoned = [*(other for other in self._abandoned if other.is_alive()), thread]
                self._start_thread(report)
        except RuntimeError:  # the system has no more threads
            report()
            raise

    def _report_stuck(self, attempt: Attempt, stack: str) -> None:
        """Report the outcome of a job that was given up: the first duty of the thread that replaces its own."""
        attempt.claimed.thread = threading.current_thread()
        error = JobTimeout(unstoppable(attempt.policy.timeout or 0))
        error.add_note(f"When it was given up, its thread was at:\n{stack}")
        self._report(attempt.claimed, Context().run(give_up, attempt, error))


class JobThread(DaemonThread):
    """One thread of the pool: takes jobs until the pool is closed, or until it is given up."""

    def __init__(self, pool: ThreadPool, name: str, first: Callable[[], None] | None, *, rests: bool = False) -> None:
        """``first`` is called before the first job; ``rests``: see ``request_priority``."""
        super().__init__(name=name)
        self.given_up = False
        self.current: ClaimedJob | None = None
        """The job that it runs."""
        self._pool = pool
        self._first = first
        self._rests = rests

    def run(self) -> None:
        """Take jobs until the end, whatever is raised in this thread outside of a job."""
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
                self._pool.report_unfinished(claimed, error)
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
            self._pool.run_job(claimed, context)
            self.current = None
            if claimed.thread is self:
                claimed.thread = None
            if self._rests:
                self._pool.rest(time.thread_time() - begun)
