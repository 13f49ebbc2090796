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
from ..claimed_job import Run
from ..execution.attempt import Attempt, put_off
from ..execution.connections import drop_all, tidy
from ..execution.contexts import context_for_jobs
from ..execution.executor import execute, give_up
from ..execution.interrupter import Alarm, Watch
from ..execution.timeouts import GRACE, unstoppable
from .request_priority import Courtesy

logger = get_logger("django_loco.worker")

#: Seconds between the interruption of a thread and its next job.
PAUSE = 0.1

#: Called with a run and its outcome, in whatever thread decided it.
Report = Callable[[Run, Outcome], None]


class ThreadPool:
    """Runs sync jobs, ``size`` at a time.

    Threads are started one by one, when there is a job for one more, and then stay: each may hold a connection per
    database and a stack, which a site with little to do need not pay for ten times over.

    Jobs reach the threads through one queue, which is what keeps the cost per job low: a busy thread takes its next
    job without asking a lock or the fetcher, and only an idle one has to be woken.
    """

    def __init__(
        self, size: int, alias: str, report: Report, grace: float = GRACE, courtesy: Courtesy | None = None
    ) -> None:
        """``alias``: the one in ``TASKS`` whose jobs these are. ``grace``: see ``limits``, in seconds."""
        self.size = size
        self._alias = alias
        self._report = report
        self._inbox: SimpleQueue[Run | None] = SimpleQueue()
        self._watch = Watch(self._replace, drop_all, grace)
        self._courtesy = courtesy or Courtesy()
        self._closed = threading.Event()
        self._threads: list[JobThread] = []
        self._abandoned: list[JobThread] = []
        self._lock = threading.Lock()
        self._started = 0

    def submit(self, runs: Sequence[Run], held: int) -> None:
        """Run ``runs`` when there is a thread for them; ``held`` is how many the pool has with them."""
        for run in runs:
            self._inbox.put(run)
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

    def withdraw(self, limit: int) -> list[Run]:
        """Take back up to ``limit`` runs that no thread has begun with, those that wait longest first."""
        taken: list[Run] = []
        while len(taken) < limit:
            try:
                run = self._inbox.get_nowait()
            except Empty:
                break
            if run is None:  # closed: the threads need it
                self._inbox.put(None)
                break
            taken.append(run)
        return taken

    def cancel(self) -> None:
        """Nothing: threads cannot be told from outside; their jobs see ``context.stopping``."""

    def close(self) -> None:
        """End each thread after the job it is in, if any."""
        self._closed.set()
        self._inbox.put(None)
        self._watch.end()

    def join(self, timeout: float) -> bool:
        """Wait for the threads, ``timeout`` seconds at most; return whether none is left but those inside a job."""
        deadline = time.monotonic() + timeout
        watch_ended = self._watch.join(timeout)  # first: it may be about to replace a thread
        free = [thread for thread in self._threads if not thread.busy]
        for thread in free:
            thread.join(max(0.0, deadline - time.monotonic()))
        return watch_ended and not any(thread.is_alive() for thread in free)

    @property
    def abandoned(self) -> int:
        """How many threads were given up and still run."""
        return sum(thread.is_alive() for thread in self._abandoned)

    def attend(self, run: Run, context: Context) -> None:
        """Run a job in the calling thread, in a copy of ``context``, and report its outcome."""
        run.started = True
        try:
            outcome = context.copy().run(execute, run, self._watch.call)
        except BaseException as error:
            logger.exception("Job %s could not be run", run.job.id)
            outcome = run.settled_on(put_off(run.job, error))
        tidy()
        if outcome is not None:
            self._report(run, outcome)

    def recover(self, run: Run, error: BaseException) -> None:
        """Report a run that was left without an end, by a thread that ``error`` has interrupted."""
        outcome = run.settled_on(put_off(run.job, error))
        if outcome is not None:
            self._report(run, outcome)

    def mend(self) -> None:
        """Replace threads that have died, though none should; called now and then by the fetcher."""
        if self._closed.is_set():
            return
        for thread in self._dead():
            logger.critical("The thread %s has died and is replaced", thread.name)
            run, thread.attends = thread.attends, None
            if run is not None:
                self.recover(run, RuntimeError(f"the thread {thread.name} has died"))
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

    def settle_in(self) -> Context:
        """Return the context of which each job of the calling thread gets a copy."""
        return context_for_jobs(self._alias)

    def next_run(self) -> Run | None:
        """Wait for a run to attend to; ``None``: the pool is closed.

        Connections are tidied after each job. Only those that have been idle since can have grown old.
        """
        self._courtesy.give_way()
        try:
            run = self._inbox.get_nowait()
        except Empty:
            run = self._inbox.get()
            tidy()
        if run is None:
            self._inbox.put(None)
        return run

    def rest(self, computed: float) -> None:
        """Rest after a job that has computed for so many seconds, if there are requests to be answered."""
        if seconds := self._courtesy.rest_after(computed):
            self._closed.wait(seconds)

    def _start_thread(self, first: Callable[[], None] | None = None) -> None:
        self._started += 1
        thread = JobThread(self, f"loco-worker-{self._started}", first, rests=bool(self._threads))
        thread.start()
        self._threads.append(thread)

    def _replace(self, alarm: Alarm) -> None:
        """Give up a thread that does not come back from its job; called by the watch."""
        attempt, thread = alarm.attempt, alarm.thread
        if not isinstance(thread, JobThread) or not attempt.run.settle():
            return
        attempt.run.thread = threading.current_thread()  # its thread may come back, and then the run would have none
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
        attempt.run.thread = threading.current_thread()
        error = JobTimeout(unstoppable(attempt.policy.timeout or 0))
        error.add_note(f"When it was given up, its thread was at:\n{stack}")
        self._report(attempt.run, Context().run(give_up, attempt, error))


class JobThread(DaemonThread):
    """One thread of a pool: takes runs until the pool is closed, or until it has been given up itself."""

    def __init__(self, pool: ThreadPool, name: str, first: Callable[[], None] | None, *, rests: bool = False) -> None:
        """``first`` is to be done before the first run; ``rests``: see ``courtesy``."""
        super().__init__(name=name)
        self.given_up = False
        self.attends: Run | None = None
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
        return self.attends is not None

    def _has_worked(self) -> bool:
        try:
            self._work()
        except BaseException as error:
            logger.critical("The thread %s was interrupted and goes on", self.name, exc_info=True)
            run, self.attends = self.attends, None
            if run is not None:
                self._pool.recover(run, error)
            return False
        return True

    def _work(self) -> None:
        context = self._pool.settle_in()
        first, self._first = self._first, None
        if first is not None:
            first()
        while not self.given_up and (run := self._pool.next_run()) is not None:
            self.attends, run.thread = run, self
            begun = time.thread_time()
            self._pool.attend(run, context)
            self.attends = None
            if run.thread is self:
                run.thread = None
            if self._rests:
                self._pool.rest(time.thread_time() - begun)
