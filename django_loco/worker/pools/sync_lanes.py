"""Threads for the sync parts of async jobs: the ORM, ``sync_to_async``, sync receivers of signals."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, TypeVar

from ...core.threads import DaemonThread
from ...log.labels import bind
from ...log.safe import get_logger
from ..execution.connections import drop_all, tidy

logger = get_logger("django_loco.worker")

T = TypeVar("T")
_Work = tuple["Future[Any]", Callable[[], Any]]


class SyncLane(DaemonThread):
    """A thread that makes calls one after the other.

    Unlike the threads of a ``ThreadPoolExecutor`` it is a daemon: a stuck job must not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        """Starts at once."""
        super().__init__(name=name)
        self.jobs = 0
        """The number of jobs that use it; written by the event loop's thread."""
        self._asked = 0
        self._answered = 0
        self._calls: SimpleQueue[_Work | None] = SimpleQueue()
        self.start()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Make ``call`` after those that were submitted before."""
        future: Future[T] = Future()
        self._asked += 1
        self._calls.put((future, call))
        return future

    @property
    def load(self) -> int:
        """The number of jobs and calls before a new job. It is never 0 for a lane that is stuck."""
        return self.jobs + self._asked - self._answered

    def close(self) -> None:
        """End when all calls are done."""
        self._calls.put(None)

    def run(self) -> None:
        """Make the calls."""
        bind(component="worker")
        while (work := self._calls.get()) is not None:
            _make(*work)
            self._answered += 1
            del work
        drop_all()


def _make(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        if not future.set_running_or_notify_cancel():
            return
        _answer(future, call)
    except BaseException:  # concurrent.futures logs what its callbacks raise, and that may raise again
        logger.exception("A call in a lane could not be answered")


def _answer(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
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
    """

    def __init__(self, size: int) -> None:
        """Starts no thread until one is needed."""
        self._size = size
        self._lanes: list[SyncLane] = []
        self._retired: list[SyncLane] = []

    def take(self) -> SyncLane:
        """Return the lane with the lowest load."""
        self._lanes = [lane for lane in self._lanes if lane.is_alive()]
        lane = min(self._lanes, key=lambda lane: lane.load, default=None)
        if lane is None or (lane.load and len(self._lanes) < self._size):
            lane = self._add()
        lane.jobs += 1
        lane.submit(tidy)
        return lane

    def give_back(self, lane: SyncLane, *, blocked: bool = False) -> None:
        """Take a lane back after its job. ``blocked``: a call of the job still runs, so the lane is replaced."""
        lane.jobs -= 1
        lane.submit(tidy)
        if blocked and lane in self._lanes:
            self._lanes.remove(lane)
            self._retired = [*(other for other in self._retired if other.is_alive()), lane]
        if not lane.jobs and lane not in self._lanes:
            lane.close()

    @property
    def abandoned(self) -> int:
        """The number of lanes that are blocked by calls of jobs that have ended."""
        return sum(lane.is_alive() for lane in self._retired)

    def warm_up(self) -> None:
        """Start all lanes at once."""
        while len(self._lanes) < self._size:
            self._add()

    def _add(self) -> SyncLane:
        lane = SyncLane(f"loco-worker-lane-{len(self._lanes) + 1}")
        self._lanes.append(lane)
        return lane

    def close(self) -> None:
        """End all lanes when their calls are done."""
        for lane in self._lanes:
            lane.close()

    def join(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for all lanes; one may be stuck in a job for longer."""
        deadline = time.monotonic() + timeout
        for lane in self._lanes:
            lane.join(max(0.0, deadline - time.monotonic()))


class JobLane(Executor):
    """The executor that asgiref uses as the thread of one job: a lane, as soon as one is needed."""

    def __init__(self, lanes: SyncLanes) -> None:
        """Takes no lane yet, since many jobs need none."""
        self._lanes = lanes
        self._lane: SyncLane | None = None
        self._latest: Future[Any] | None = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call ``fn`` in the job's lane."""
        if self._lane is None:
            self._lane = self._lanes.take()
        self._latest = self._lane.submit(lambda: fn(*args, **kwargs))
        return self._latest

    def release(self) -> None:
        """Give the lane back, if one was taken."""
        if self._lane is not None:
            blocked = self._latest is not None and not self._latest.done()
            self._lanes.give_back(self._lane, blocked=blocked)
            self._lane = None
