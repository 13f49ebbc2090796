"""The thread for announcements outside of jobs, so that a receiver that hangs holds up nothing else in the worker."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from ...core.threads import DaemonThread
from ...core.threads.stacks import stack_of_thread
from ...core.threads.stray_forks import ForksEndHere
from ...log.safe import get_logger

logger = get_logger("django_loco.worker")

#: How long a caller waits for its announcement. Then no caller waits any more until the receiver has returned.
WAIT_SECONDS = 5.0


class Announcer:
    """Makes calls one after the other in a thread that ends when there are none. Its methods are for any thread."""

    def __init__(self, wait: float = WAIT_SECONDS) -> None:
        """Starts nothing. ``wait`` is in seconds."""
        self._wait = wait
        self._lock = threading.Lock()
        self._calls: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._thread: DaemonThread | None = None
        self._began = 0.0
        self._is_stuck = False

    def call(self, announcement: Callable[[], None]) -> None:
        """Call ``announcement`` after earlier ones. Raises its exception. Returns early if a receiver hangs."""
        future: Future[None] = Future()
        with self._lock:
            self._calls.append((announcement, future))
            is_new = self._thread is None
            thread = self._thread = self._thread or DaemonThread(target=self._run, name="loco-worker-announcer")
        if is_new:
            self._start(thread)
        if self._is_stuck:
            return
        try:
            future.result(self._wait)
        except TimeoutError:
            if future.done():  # the announcement itself has raised it
                raise
            self._note_stuck(thread)

    @property
    def trouble(self) -> str:
        """How long a receiver has been hanging, as a text for health; empty if none hangs."""
        if not self._is_stuck:
            return ""
        return f"a receiver of a signal has not returned for {time.monotonic() - self._began:.0f} s"

    def _start(self, thread: DaemonThread) -> None:
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            self._run()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._thread = None
                    return
                announcement, future = self._calls.popleft()
            self._began = time.monotonic()
            self._make(announcement, future)
            self._is_stuck = False

    def _make(self, announcement: Callable[[], None], future: Future[None]) -> None:
        try:
            with ForksEndHere():
                announcement()
        except BaseException as error:
            if self._is_stuck:  # nobody waits for it
                logger.exception("A signal could not be sent")
            future.set_exception(error)
        else:
            future.set_result(None)

    def _note_stuck(self, thread: DaemonThread) -> None:
        with self._lock:
            is_stuck = self._thread is thread and time.monotonic() - self._began >= self._wait / 2
            is_news = is_stuck and not self._is_stuck
            self._is_stuck = is_stuck
        if is_news:
            text = "%s; other signals wait for it, and the worker goes on. It is at:\n%s"
            logger.error(text, self.trouble.capitalize(), stack_of_thread(thread.ident))


_announcer = Announcer()


def call(announcement: Callable[[], None]) -> None:
    """``Announcer.call`` in the thread of this process."""
    _announcer.call(announcement)


def trouble() -> str:
    """``Announcer.trouble`` of the thread of this process."""
    return _announcer.trouble


def _after_fork() -> None:
    global _announcer
    _announcer = Announcer()


os.register_at_fork(after_in_child=_after_fork)
