"""The pool for sync jobs: threads that each run one job at a time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial

from ...core.backoff import LoggedBackoff
from ...core.job import Outcome
from ...core.threads.stacks import stack_of_thread
from ...log.safe import get_logger
from ..claimed_job import ClaimedJob
from ..execution.attempt import Attempt
from ..execution.connections import drop_all, tidy
from ..execution.executor import context_for_jobs, execute
from ..execution.interrupter import GRACE_SECONDS, InterruptibleCall, ThreadInterrupter
from .interpreter_monitor import InterpreterMonitor
from .job_thread import JobThread
from .request_priority import RequestPriority
from .thread_limit import ThreadLimit
from .unfinished import end_unfinished, give_up_stuck
from .work_queue import WorkQueue

logger = get_logger("django_loco.worker")

#: The time between an exception outside of a job and the thread's next job.
PAUSE_SECONDS = 0.1

#: Called with a job and its outcome, in the thread that decided on it.
Report = Callable[[ClaimedJob, Outcome], None]


class ThreadPool:
    """Runs sync jobs on up to ``size`` threads.

    How many of them run jobs at the same time follows the work: see ``thread_limit``. The jobs wait in a ``WorkQueue``.

    A thread is started when there is a job that no other thread can take. It then stays until the pool is closed. So a
    site with few jobs has no stacks and database connections for threads that it does not need.
    """

    def __init__(
        self,
        size: int,
        alias: str,
        report: Report,
        *,
        grace: float = GRACE_SECONDS,
        request_priority: RequestPriority | None = None,
        active: int | None = None,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        """Starts no thread.

        Args:
            size: the most threads.
            alias: the key in ``TASKS`` of the jobs.
            report: called with each outcome.
            grace: see ``interrupter.GRACE_SECONDS``, in seconds.
            request_priority: knows whether web requests are waiting.
            active: how many threads run jobs at the same time; ``None``: as many as the work needs. Without a global
                interpreter lock that is all of them.
            on_room: called when ``capacity`` was less than ``size``, and there is room for more jobs again.
        """
        self.size = size
        if active is None and not _has_interpreter_lock():
            active = size
        self.limit = ThreadLimit(size, active)
        self._alias = alias
        self._report = report
        self._on_room = on_room
        self._is_reduced = False
        self._interrupter = ThreadInterrupter(self._replace, drop_all, grace)
        self._request_priority = request_priority or RequestPriority()
        self._closed = threading.Event()
        self._threads: list[JobThread] = []
        self._abandoned: list[JobThread] = []
        self._lock = threading.Lock()
        self._started = 0
        self._work = WorkQueue(self.limit, self._start_one_more)
        self._monitor = InterpreterMonitor(
            lambda late: self._work.adapt(tuple(self._threads), late), self._work.has_backlog
        )
        self._monitor_starts = LoggedBackoff(logger, "The worker", "start the monitor of its threads", 0.0, 0.0)

    def submit(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        """Run jobs as soon as there are threads for them."""
        self._work.put(claimed_jobs)
        if self._work and self.size > 1 and not self._monitor.wake.is_set():
            try:
                self._monitor.start()
            except RuntimeError as error:  # the system has no more threads; it is tried again with the next jobs
                self._monitor_starts.failed(error)
            else:
                self._monitor_starts.succeeded()
                self._monitor.wake.set()

    @property
    def capacity(self) -> int:
        """How many jobs to hold: one per thread, or fewer if the interpreter has no time for more."""
        self._is_reduced = self.limit.is_busy
        if not self._is_reduced:
            return self.size
        return min(self.size, self.busy + self.limit.now)

    @property
    def limit_reason(self) -> str:
        """Why the limit is as it is, in words."""
        if self.limit.is_fixed:
            return "fixed"
        if not self._work:
            return "no job waits for a thread"
        return "the jobs keep Python busy" if self.limit.is_busy else "Python has time to spare"

    @property
    def busy(self) -> int:
        """The number of threads that are inside a job."""
        return sum(thread.busy for thread in tuple(self._threads))

    def warm_up(self) -> None:
        """Start all threads at once, including the helper threads."""
        self._interrupter.start()
        if self.size > 1:
            self._monitor.start()
        with self._lock:
            while len(self._threads) < self.size:
                self._start_thread()

    def withdraw(self, limit: int) -> list[ClaimedJob]:
        """Take back up to ``limit`` jobs that no thread has begun, the oldest first."""
        return self._work.withdraw(limit)

    def quiet(self) -> None:
        """Let no more jobs begin: they wait until they are withdrawn."""
        self._work.quiet()

    def resume(self) -> None:
        """Let jobs begin again."""
        self._work.resume()

    def interrupt(self, claimed: ClaimedJob) -> None:
        """Interrupt a job that somebody cancelled, if it runs here."""
        self._interrupter.cancel(claimed)

    def cancel(self) -> None:
        """Do nothing: a thread cannot be cancelled from outside. Its job sees ``context.stopping``."""

    def close(self) -> None:
        """End each thread after its present job."""
        self._closed.set()
        self._work.close()
        self._monitor.end()
        self._interrupter.end()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the threads; return whether none is left except those inside a job."""
        deadline = time.monotonic() + timeout
        interrupter_ended = self._interrupter.join(timeout)  # joined first, since it may be about to replace a thread
        free = [thread for thread in self._threads if not thread.busy]
        for thread in free:
            thread.join(max(0.0, deadline - time.monotonic()))
        monitor_ended = self._monitor.join(max(0.0, deadline - time.monotonic()))
        return interrupter_ended and monitor_ended and not any(thread.is_alive() for thread in free)

    @property
    def abandoned(self) -> int:
        """The number of threads that were given up and still run."""
        return sum(thread.is_alive() for thread in self._abandoned)

    def run_job(self, claimed: ClaimedJob, context: Context) -> None:
        """Run a job in the calling thread, in a copy of ``context``, and report its outcome."""
        claimed.started = True
        if self._is_reduced and not self._work:
            self._is_reduced = False
            self._on_room()
        try:
            outcome = context.copy().run(execute, claimed, self._interrupter.call)
        except BaseException as error:
            logger.exception("Job %s could not be run", claimed.job.id)
            outcome = end_unfinished(claimed, error)
        tidy()
        if outcome is not None:
            self._report(claimed, outcome)

    def report_unfinished(self, claimed: ClaimedJob, error: BaseException) -> None:
        """Report a job that has no outcome because ``error`` interrupted its thread."""
        outcome = end_unfinished(claimed, error)
        if outcome is not None:
            self._report(claimed, outcome)

    def replace_dead(self) -> None:
        """Replace threads that have died, which should not happen. Called now and then by the fetcher."""
        if self._closed.is_set():
            return
        for thread in self._dead():
            logger.critical("The thread %s has died and is replaced", thread.name)
            claimed, thread.current = thread.current, None
            if claimed is not None:
                self.report_unfinished(claimed, RuntimeError(f"the thread {thread.name} has died"))
            self._work.leave(thread)
            with self._lock:
                self._start_thread()
                self._threads.remove(thread)

    @property
    def missing(self) -> int:
        """The number of threads that have died and are not replaced yet."""
        return 0 if self._closed.is_set() else len(self._dead())

    def _dead(self) -> list[JobThread]:
        return [thread for thread in tuple(self._threads) if not thread.is_alive()]

    # For the threads

    @property
    def is_closed(self) -> bool:
        """Whether the threads are to end."""
        return self._closed.is_set()

    def job_context(self) -> Context:
        """Return the context that is copied for each job of the calling thread."""
        return context_for_jobs(self._alias)

    def take(self, thread: JobThread) -> ClaimedJob | None:
        """Return the next job for ``thread``, or ``None`` if no job may begin now. The thread is woken later."""
        self._request_priority.wait_for_requests()
        return self._work.take(thread)

    @property
    def serves_requests(self) -> bool:
        """Whether this process has had web requests."""
        return self._request_priority.has_seen_requests

    def rest(self, thread: JobThread, computed: float) -> None:
        """Rest after a job that has used ``computed`` seconds of processor time, if this process serves requests."""
        if seconds := self._request_priority.rest_after(computed):
            self._work.leave(thread)
            self._closed.wait(seconds)

    def pause(self) -> None:
        """Wait for ``PAUSE_SECONDS``, or until the pool is closed."""
        self._closed.wait(PAUSE_SECONDS)

    def _start_one_more(self, *, is_patient: bool) -> JobThread | None:
        """Start a thread, called by the ``WorkQueue``. Raises ``RuntimeError`` if the system has no more threads.

        Returns ``None`` if there are enough threads or, with ``is_patient``, if one of them has just ended its job.
        """
        with self._lock:
            if len(self._threads) >= self.size or (
                is_patient and any(thread.takes_a_job_soon for thread in self._threads)
            ):
                return None
            return self._start_thread()

    def _start_thread(self, first: Callable[[], None] | None = None) -> JobThread:
        self._started += 1
        thread = JobThread(self, f"loco-worker-{self._started}", first, rests=bool(self._threads))
        thread.start()
        self._threads.append(thread)
        return thread

    def _replace(self, call: InterruptibleCall) -> None:
        """Give up a thread whose job cannot be interrupted, and start another; called by the interrupter."""
        attempt, thread = call.attempt, call.thread
        if not isinstance(thread, JobThread) or not attempt.claimed.decide():
            return
        # Its own thread may return, and then no thread would count as running the job.
        attempt.claimed.thread = threading.current_thread()
        thread.given_up = True
        self._work.leave(thread)
        report = partial(self._report_stuck, attempt, stack_of_thread(thread.ident))
        try:
            with self._lock:
                self._threads.remove(thread)
                self._abandoned = [*(other for other in self._abandoned if other.is_alive()), thread]
                self._start_thread(report)
        except RuntimeError as error:  # the system has no more threads; the fetcher starts one when it can
            logger.warning("The thread of a job that was given up cannot be replaced for now: %s", error)
            report()

    def _report_stuck(self, attempt: Attempt, stack: str) -> None:
        """Report the outcome of a job that was given up. The thread that replaces the job's own does this first."""
        self._report(attempt.claimed, give_up_stuck(attempt, f"its thread was at:\n{stack}"))


def _has_interpreter_lock() -> bool:
    """Whether only one thread runs Python code at a time, unlike on a free-threaded build."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()
