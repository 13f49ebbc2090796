"""The default executor of the event loop with jobs, whose threads close their connections after each call."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from threading import Lock
from typing import Any, TypeVar

from ..execution.connections import drop_all
from .sync_lanes import SyncLane, Work

T = TypeVar("T")


class TidyExecutor(ThreadPoolExecutor):
    """The default executor of an event loop with jobs: for ``asyncio.to_thread`` and ``thread_sensitive=False``.

    asyncio takes no other class than ``ThreadPoolExecutor``. But at its end Python waits for the threads of a
    ``ThreadPoolExecutor``. So lanes with a common queue make the calls.
    """

    def __init__(self, name: str = "asyncio") -> None:
        """Starts no thread until one is needed. ``name``: how the names of its threads begin."""
        super().__init__(thread_name_prefix=name)
        self._name = name
        self._lock = Lock()
        self._lanes: list[SyncLane] = []
        self._calls: SimpleQueue[Work | None] = SimpleQueue()
        self._asked = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call ``fn`` in one of the threads. Raises ``RuntimeError`` if the system has no thread for the first call."""
        future: Future[T] = Future()
        with self._lock:
            unanswered = self._asked - sum(lane.answered for lane in self._lanes)
            if unanswered >= len(self._lanes) and len(self._lanes) < self._max_workers:
                self._add()
            self._asked += 1
            self._calls.put((future, partial(_call_tidily, fn, *args, **kwargs), None))
        return future

    def _add(self) -> None:
        try:
            self._lanes.append(SyncLane(f"{self._name}_{len(self._lanes)}", self._calls))
        except RuntimeError:
            if not self._lanes:
                raise

    def close(self) -> None:
        """End all threads when their calls are done."""
        for lane in self._lanes:
            lane.close()


def _call_tidily(call: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call ``call`` and close the thread's connections after it, since the next call in this thread may come late."""
    try:
        return call(*args, **kwargs)
    finally:
        drop_all()
