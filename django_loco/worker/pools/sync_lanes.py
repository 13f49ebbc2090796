"""Threads for the sync parts of async code in jobs: the ORM, ``sync_to_async``, sync receivers of signals."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import current_thread
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from ...core.backoff import LoggedBackoff
from ...core.threads import DaemonThread
from ...core.threads.stray_forks import ForksEndHere
from ...log.labels import bind
from ...log.safe import get_logger
from ..execution.connections import drop_all, tidy

logger = get_logger("django_loco.worker")

T = TypeVar("T")
#: A call, its future, and the job whose lane makes the call; ``None``: it stays in the lane that it was given to.
Work = tuple["Future[Any]", Callable[[], Any], "JobLane | None"]


class SyncLane(DaemonThread):
    """A thread that makes calls one after the other.

    Unlike the threads of a ``ThreadPoolExecutor`` it is a daemon, because a stuck job must not keep the process from
    ending.
    """

    def __init__(self, name: str, calls: SimpleQueue[Work | None] | None = None) -> None:
        """Starts at once. ``calls``: a queue that it shares with other lanes."""
        super().__init__(name=name)
        self.jobs = 0
        """The number of jobs that use it; written by the event loop's thread."""
        self.is_retired = False
        """Whether a call of a job that has ended blocks it; written by the event loop's thread."""
        self.answered = 0
        """The number of calls that it has made."""
        self._asked = 0
        self._calls: SimpleQueue[Work | None] = SimpleQueue() if calls is None else calls
        self._present: Work | None = None
        self.start()

    def submit(self, call: Callable[[], T], job: JobLane | None = None) -> Future[T]:
        """Make ``call``, of ``job``, after those that were submitted before."""
        future: Future[T] = Future()
        self.put((future, call, job))
        return future

    def put(self, work: Work) -> None:
        """Make the call of ``work`` after those that were submitted before."""
        self._asked += 1
        self._calls.put(work)

    def withdraw(self) -> list[Work]:
        """Take back the calls that have not begun."""
        taken: list[Work] = []
        with suppress(Empty):
            while (work := self._calls.get_nowait()) is not None:
                taken.append(work)
            self.close()
        self._asked -= len(taken)
        return taken

    def is_blocked_by(self, job: JobLane) -> bool:
        """Whether a call of ``job`` runs in it now."""
        work = self._present
        return work is not None and work[2] is job and not work[0].done()

    @property
    def load(self) -> int:
        """The number of jobs and calls that a new job would wait for. It is never 0 for a stuck lane."""
        return self.jobs + self._asked - self.answered

    def close(self) -> None:
        """End when all calls are done."""
        self._calls.put(None)

    def run(self) -> None:
        """Make the calls."""
        bind(component="worker")
        while (work := self._calls.get()) is not None:
            self._present = work
            _make(work[0], work[1])
            self.answered += 1
            self._present = None
            del work
        drop_all()


def _make(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        if not future.set_running_or_notify_cancel():
            return
        _answer(future, call)
    except BaseException:  # concurrent.futures logs the errors of its callbacks, and the logging may raise again
        logger.exception("A call in a lane could not be answered")


def _answer(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        with ForksEndHere():
            result = call()
    except BaseException as error:  # noqa: BLE001 - the caller gets it from the future
        future.set_exception(error)
    else:
        future.set_result(result)


class SyncLanes:
    """Up to ``size`` lanes, which the event loop's thread assigns to async jobs.

    Django keeps connections per thread. By default asgiref sends all thread-sensitive calls of a process to one thread,
    so a hundred async jobs would wait for each other. A thread for each job would mean a hundred connections, and a
    new thread and connection per job. Therefore a job gets a lane when it first needs one and keeps it to its end, so
    that its calls share a thread and a connection, as Django expects. Then the lane goes to the next job, with its
    connection tidied.

    If a call of a job still runs when the job has ended or is given up, its lane is *retired*: no job gets it, another
    lane may take its place, and the calls of other jobs that wait in it go elsewhere.
    """

    def __init__(self, size: int, name: str = "loco-worker-lane") -> None:
        """Starts no thread until one is needed. ``name``: how the names of its threads begin."""
        self._size = size
        self._name = name
        self._lanes: list[SyncLane] = []
        self._retired: list[SyncLane] = []
        self._starts = LoggedBackoff(logger, "The worker", "start another thread for calls of async jobs", 0.0, 0.0)

    def take(self) -> SyncLane:
        """Return the lane with the lowest load. Raises ``RuntimeError`` if the system has no thread for the first."""
        self._lanes = [lane for lane in self._lanes if lane.is_alive()]
        lane = min(self._lanes, key=lambda lane: lane.load, default=None)
        if lane is None or (lane.load and len(self._lanes) < self._size):
            lane = self._add(lane)
        lane.jobs += 1
        lane.submit(tidy)
        return lane

    def give_back(self, lane: SyncLane, job: JobLane | None = None) -> bool:
        """Take a lane back from ``job``. Return whether it was retired because a call of the job still runs."""
        is_blocked = job is not None and lane.is_blocked_by(job)
        lane.submit(tidy)
        if is_blocked and lane in self._lanes:
            self._retire(lane)
        lane.jobs -= 1
        if not lane.jobs and lane not in self._lanes:
            lane.close()
        return is_blocked

    def _retire(self, lane: SyncLane) -> None:
        self._lanes.remove(lane)
        self._retired = [*(other for other in self._retired if other.is_alive()), lane]
        lane.is_retired = True
        for work in lane.withdraw():
            job = work[2]
            try:
                other = None if job is None else job.moved()
            except RuntimeError:  # the system has no more threads
                logger.exception("A call of a job waits until that of another job ends")
                other = None
            (other or lane).put(work)

    @property
    def abandoned(self) -> set[SyncLane]:
        """The lanes that are blocked by calls of jobs that have ended or are given up."""
        return {lane for lane in self._retired if lane.is_alive()}

    def warm_up(self) -> None:
        """Start all lanes at once."""
        while len(self._lanes) < self._size:
            self._add()

    def _add(self, otherwise: SyncLane | None = None) -> SyncLane:
        """Return a new lane, or ``otherwise`` if the system has no more threads."""
        try:
            lane = SyncLane(f"{self._name}-{len(self._lanes) + 1}")
        except RuntimeError as error:
            if otherwise is None:
                raise
            self._starts.failed(error)
            return otherwise
        self._starts.succeeded()
        self._lanes.append(lane)
        return lane

    def close(self) -> None:
        """End all lanes when their calls are done."""
        for lane in self._lanes:
            lane.close()

    def join(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for all lanes. A lane that is stuck in a job may run for longer."""
        deadline = time.monotonic() + timeout
        for lane in self._lanes:
            lane.join(max(0.0, deadline - time.monotonic()))


class JobLane(Executor):
    """The executor that asgiref uses as the thread of one job. It takes a lane when the job first needs one."""

    def __init__(self, lanes: SyncLanes) -> None:
        """Takes no lane yet, since many jobs need none."""
        self._lanes = lanes
        self._lane: SyncLane | None = None

    def use(self) -> None:
        """Let async code that runs in the present context make its thread-sensitive calls here.

        By default such calls below ``asyncio.run()`` go to one thread of the whole process, whose connections nobody
        tidies. Calls below ``async_to_sync`` stay in the thread that waits for them.
        """
        scope = ThreadSensitiveContext()
        SyncToAsync.context_to_thread_executor[scope] = self
        SyncToAsync.thread_sensitive_context.set(scope)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call ``fn`` in the job's lane. Raises ``RuntimeError`` inside the lane, which would wait for itself."""
        lane = self._lane
        if lane is current_thread():
            raise RuntimeError(
                "sync_to_async() waits for the thread that has called asyncio.run(), which would never end. "
                "Use async_to_sync() in place of asyncio.run()."
            )
        if lane is None or lane.is_retired:
            self.release()
            lane = self._lane = self._lanes.take()
        return lane.submit(lambda: fn(*args, **kwargs), self)

    def moved(self) -> SyncLane | None:
        """Return another lane for a call of the job, because its lane was retired; ``None`` if the job has ended."""
        if self._lane is not None and self._lane.is_retired:
            self.release()
            self._lane = self._lanes.take()
        return self._lane

    def leave_call(self) -> None:
        """Give the lane back if a call of the job still runs in it. The next call gets another one."""
        if self._lane is not None and self._lane.is_blocked_by(self):
            self.release()

    def release(self) -> SyncLane | None:
        """Give the lane back, if one was taken. Return it if a call of the job still runs in it."""
        lane, self._lane = self._lane, None
        return lane if lane is not None and self._lanes.give_back(lane, self) else None
