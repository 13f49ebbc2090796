"""One thread of the pool for sync jobs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextvars import Context
from typing import Protocol

from ...core.threads import DaemonThread
from ...log.safe import get_logger
from ..claimed_job import ClaimedJob
from ..execution.connections import drop_all, tidy
from .sync_lanes import JobLane, SyncLanes

logger = get_logger("django_loco.worker")

#: The time that the thread waits at its end for its lane to close its connections.
_LANE_SECONDS = 1.0


class JobSource(Protocol):
    """The interface of a pool for its threads."""

    def job_context(self) -> Context:
        """Return the context that is copied for each job of the calling thread."""

    def take(self, thread: JobThread) -> ClaimedJob | None:
        """Return the next job for ``thread``, or ``None`` if no job may begin now. The thread is woken later."""

    def run_job(self, claimed: ClaimedJob, context: Context) -> None:
        """Run a job in the calling thread and report its outcome."""

    @property
    def serves_requests(self) -> bool:
        """Whether this process has had web requests, so that threads rest."""

    def rest(self, thread: JobThread, computed: float) -> None:
        """Rest after a job that has used ``computed`` seconds of processor time, if this process serves requests."""

    def pause(self) -> None:
        """Wait before going on after an exception outside of a job."""

    def report_unfinished(self, claimed: ClaimedJob, error: BaseException) -> None:
        """Report a job that has no outcome because ``error`` interrupted its thread."""

    @property
    def is_closed(self) -> bool:
        """Whether the thread is to end."""


class JobThread(DaemonThread):
    """Takes jobs until the pool is closed, or until it is given up."""

    def __init__(
        self, pool: JobSource, name: str, first: Callable[[], None] | None = None, *, rests: bool = False
    ) -> None:
        """``first`` is called before the first job; ``rests``: see ``request_priority``."""
        super().__init__(name=name)
        self.given_up = False
        self.current: ClaimedJob | None = None
        """The job that it has taken, until it has reported the outcome; set by ``WorkQueue.take``."""
        self.seen: ClaimedJob | None = None
        """The job that it ran at the last sample of the monitor."""
        self.seen_since = 0.0
        """When it was first seen to run that job (``time.monotonic()``, seconds)."""
        self.seen_cpu = 0.0
        """``cpu_seconds`` at that time."""
        self._cpu_clock: int | None = None
        self._pool = pool
        self._first = first
        self._rests = rests
        self._lanes = SyncLanes(1, f"{name}-lane")
        self._lane = JobLane(self._lanes)
        # A lock is the cheapest way to sleep until another thread wakes this one: it sleeps by taking the lock again.
        self._woken = threading.Lock()
        self._woken.acquire()

    def wake(self) -> None:
        """End its sleep, or the next one."""
        if self._woken.locked():
            self._woken.release()

    def run(self) -> None:
        """Take jobs until the end, whatever is raised in this thread outside of a job."""
        if hasattr(time, "pthread_getcpuclockid"):  # not on Windows and macOS
            self._cpu_clock = time.pthread_getcpuclockid(threading.get_ident())
        while not self._work_until_error():
            self._pool.pause()
        drop_all()
        self._lanes.close()
        self._lanes.join(_LANE_SECONDS)

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has used; NaN if the system does not tell."""
        try:
            return math.nan if self._cpu_clock is None else time.clock_gettime(self._cpu_clock)
        except OSError:  # it has ended
            return math.nan

    @property
    def busy(self) -> bool:
        """Whether it is inside a job."""
        return self.current is not None

    @property
    def takes_a_job_soon(self) -> bool:
        """Whether it has no job, or has not yet dropped a job that has ended."""
        claimed = self.current
        return claimed is None or (claimed.ended and not claimed.released)

    def _work_until_error(self) -> bool:
        """Work until the end, or until an error; return whether it is the end."""
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
        context.run(self._lane.use)
        first, self._first = self._first, None
        if first is not None:
            first()
        while not self.given_up:
            claimed = self._pool.take(self)
            if claimed is not None:
                self._run(claimed, context)
            elif self._pool.is_closed:
                return
            else:
                self._sleep()

    def _run(self, claimed: ClaimedJob, context: Context) -> None:
        claimed.thread = self
        is_measured = self._rests and self._pool.serves_requests  # reading this clock is a system call
        begun = time.thread_time() if is_measured else 0.0
        self._pool.run_job(claimed, context)
        self._lane.release()
        self.current = self.seen = None
        if claimed.thread is self:
            claimed.thread = None
        if is_measured:
            self._pool.rest(self, time.thread_time() - begun)

    def _sleep(self) -> None:
        """Wait for a job. After the wait tidy the connections once more, since they may be too old by then."""
        self._woken.acquire()
        tidy()
