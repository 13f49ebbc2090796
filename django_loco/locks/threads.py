"""Threads for the calls of ``async with lock()`` to the store.

They are not the threads of ``asyncio.to_thread``, all of which may wait for the lock that is to be given back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from ..core.threads import DaemonThread

#: Each call takes a connection, and the locks of a process have four connections at most.
MOST_THREADS = 4

T = TypeVar("T")


class CallThreads:
    """Up to ``MOST_THREADS`` threads, which start when they are needed.

    Unlike the threads of a ``ThreadPoolExecutor``, they are daemons: a store that hangs must not keep the process from
    ending.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = self._threads = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Make ``call`` in one of the threads."""
        future: Future[T] = Future()
        with self._lock:
            self._open += 1
            is_new = self._open > self._threads and self._threads < MOST_THREADS
            self._threads += is_new
        self._calls.put((future, call))
        if is_new:
            self._start()
        return future

    def _start(self) -> None:
        try:
            DaemonThread(target=self._run, name="loco-locks-call").start()
        except RuntimeError:  # the system has no more threads: a lock must be given back all the same
            with self._lock:
                self._threads -= 1
                is_alone = not self._threads
            if is_alone:
                self._make_next()

    def _run(self) -> None:
        while True:
            self._make_next()

    def _make_next(self) -> None:
        future, call = self._calls.get()
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - the caller gets it from the future
            self._note_end()
            future.set_exception(error)
        else:
            self._note_end()
            future.set_result(result)

    def _note_end(self) -> None:
        with self._lock:
            self._open -= 1


_threads = CallThreads()


def submit(call: Callable[[], T]) -> Future[T]:
    """Make ``call`` in a thread of this process."""
    return _threads.submit(call)


def _after_fork() -> None:
    global _threads
    _threads = CallThreads()


os.register_at_fork(after_in_child=_after_fork)
