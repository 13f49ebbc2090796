"""Protects threads from logging handlers that hang: such a handler delays a thread once, and only for a moment.

A handler holds its lock while it writes, perhaps to a pipe that nobody reads or to a log server that does not answer.
The next thread that logs waits for the lock. Meanwhile it handles no signal, runs no job and misses its deadlines.

- ``BoundedLogger`` is for the main thread and other threads that control the process.
- ``HandlerThread`` is for all threads of django-loco, including those that run jobs.
"""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import os
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from io import StringIO
from pathlib import Path
from typing import Any

from django.db import close_old_connections

from ...core.threads import DaemonThread
from ..plain_text import counted, shown
from ..safe import get_logger, show, show_once
from .nonblocking_stream import NonBlockingStream

#: How long a thread waits until its line is written.
TIMEOUT_SECONDS = 0.25
#: The number of lines that may wait for a handler that blocks.
MAX_WAITING = 1000
#: How long a thread waits for room in a handler's queue of records.
FULL_SECONDS = 1.0
#: How long the end of the process waits for handlers.
DRAIN_SECONDS = 0.5

logger = get_logger("django_loco.log")

Deliver = Callable[[], object]


class BoundedLogger:
    """A logger with the methods that django-loco uses. It never raises, and waits ``TIMEOUT_SECONDS`` at most.

    1. A separate thread passes each record to the handlers. The caller waits for it, so that lines keep their order.
    2. After a wait has timed out, further records are queued without waiting. Records that do not fit in the queue are
       dropped and counted, and the count is logged.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def info(self, message: str, *args: object) -> None:
        """Log a message at level ``INFO``."""
        self._log(logging.INFO, message, args)

    def warning(self, message: str, *args: object) -> None:
        """Log a message at level ``WARNING``."""
        self._log(logging.WARNING, message, args)

    def error(self, message: str, *args: object) -> None:
        """Log a message at level ``ERROR``."""
        self._log(logging.ERROR, message, args)

    def exception(self, message: str, *args: object) -> None:
        """Log a message at level ``ERROR`` with the exception that is being handled."""
        self._log(logging.ERROR, message, args, sys.exc_info())

    def _log(self, level: int, message: str, args: tuple[object, ...], error: Any = None) -> None:
        if self._logger.isEnabledFor(level):
            file, line, function, _ = self._logger.findCaller(stacklevel=3)
            record = self._logger.makeRecord(self._logger.name, level, file, line, message, args, error, function)
            context = copy_context()  # with the labels of the line
            _deliveries.make(lambda: context.run(self._logger.handle, record))


def get_bounded_logger(name: str) -> BoundedLogger:
    """Return the logger ``name`` as one that does not block."""
    return BoundedLogger(logging.getLogger(name))  # noqa: TID251 - see above


class Deliveries:
    """A thread that passes records to handlers, and a bounded wait for it."""

    def __init__(self, timeout: float = TIMEOUT_SECONDS, limit: int = MAX_WAITING) -> None:
        """``timeout`` is in seconds; ``limit`` is the number of records that may wait."""
        self.dropped = 0
        """The number of records dropped since the last report."""
        self._timeout = timeout
        self._queue: queue.Queue[tuple[Deliver, threading.Event]] = queue.Queue(limit)
        self._is_blocked = False
        self._thread: DaemonThread | None = None

    def make(self, deliver: Deliver) -> None:
        """Call ``deliver`` in the thread. Wait for it unless the thread is blocked."""
        done = threading.Event()
        try:
            self._start()
            self._queue.put_nowait((deliver, done))
        except (queue.Full, RuntimeError):  # RuntimeError: no thread can be started at interpreter shutdown
            self.dropped += 1
            return
        if not self._is_blocked and not done.wait(self._timeout):
            self._is_blocked = True

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = DaemonThread(target=self._run, name="loco-log")
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            deliver, done = self._queue.get()
            try:
                deliver()
            except BaseException:  # noqa: BLE001 - an error of a handler cannot be logged
                self.dropped += 1
            done.set()
            if self._is_blocked and self._queue.empty():
                self._is_blocked = False
                self._log_dropped()

    def _log_dropped(self) -> None:
        dropped, self.dropped = self.dropped, 0
        if dropped:
            logger.warning("Dropped %s that could not be written", counted(dropped, "log line", "log lines"))


_deliveries = Deliveries()


class HandlerThread(logging.Filter):
    """A filter that makes its handler run in a separate thread, for records from the threads of django-loco.

    1. A thread that logs queues its record and goes on. The handler gets the records in their order.
    2. If the handler is slow, the thread waits for room among ``MAX_WAITING`` records.
    3. If there is no room for ``FULL_SECONDS``, the handler counts as blocked. This is logged once. Records without
       room are dropped and counted, and the count is logged when the handler takes records again.
    """

    def __init__(self, handler: logging.Handler, limit: int = MAX_WAITING) -> None:
        super().__init__()
        self._handler = handler
        self._limit = limit
        self._is_told = False
        self.forget()
        _handler_threads.add(self)

    def forget(self) -> None:
        """Reset in a forked child. The parent process delivers its own records."""
        self.dropped = 0
        self._records: queue.Queue[tuple[Context, logging.LogRecord]] = queue.Queue(self._limit)
        self._is_blocked = False
        self._thread: DaemonThread | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Take over records from the threads of django-loco. Pass the records of other threads."""
        thread = threading.current_thread()
        if not isinstance(thread, DaemonThread) or thread is self._thread:
            return True
        self._take(copy_context(), record)  # with the labels of the line
        return False

    def drain(self, until: float) -> None:
        """Wait until all records are delivered, or until the time ``until`` (``time.monotonic()``, seconds)."""
        with self._records.all_tasks_done:
            while self._records.unfinished_tasks and (wait := until - time.monotonic()) > 0:
                self._records.all_tasks_done.wait(wait)

    def _take(self, context: Context, record: logging.LogRecord) -> None:
        try:
            if self._thread is None or not self._thread.is_alive():
                self._start()
            self._records.put((context, record), timeout=0 if self._is_blocked else FULL_SECONDS)
        except (queue.Full, RuntimeError):  # RuntimeError: no thread can be started at interpreter shutdown
            self.dropped += 1
            self._tell_blocked()

    def _start(self) -> None:
        thread = DaemonThread(target=self._run, name="loco-log-handler")
        thread.start()
        self._thread = thread

    def _tell_blocked(self) -> None:
        self._is_blocked = True
        if not self._is_told:
            self._is_told = True
            show(
                f"The log handler {shown(self._handler)} blocks. Jobs go on; "
                "its lines are dropped until it takes them again"
            )

    def _run(self) -> None:
        while True:
            context, record = self._records.get()
            try:
                context.run(self._emit, record)
            except BaseException as error:  # noqa: BLE001 - shown
                show_once(shown(self._handler), error)
            self._records.task_done()
            if self._records.empty():
                self._end_turn()

    def _emit(self, record: logging.LogRecord) -> None:
        self._handler.acquire()
        try:
            self._handler.emit(record)
        finally:
            self._handler.release()

    def _end_turn(self) -> None:
        close_old_connections()  # a handler may write to a database
        self._is_blocked = False
        dropped, self.dropped = self.dropped, 0
        if dropped:
            lines = counted(dropped, "log line", "log lines")
            show(f"Dropped {lines} that the handler {shown(self._handler)} did not take")


_handler_threads: weakref.WeakSet[HandlerThread] = weakref.WeakSet()


def use_threads(handlers: Iterable[logging.Handler]) -> None:
    """Run the ``handlers`` that may block in separate threads, for records from the threads of django-loco."""
    for handler in handlers:
        if _may_block(handler) and not any(isinstance(each, HandlerThread) for each in handler.filters):
            handler.addFilter(HandlerThread(handler))


def drain() -> None:
    """Wait up to ``DRAIN_SECONDS`` until all handlers have taken their records."""
    until = time.monotonic() + DRAIN_SECONDS
    for thread in tuple(_handler_threads):
        thread.drain(until)


def _may_block(handler: logging.Handler) -> bool:
    if isinstance(handler, logging.FileHandler):
        return _is_special(handler.baseFilename)
    if isinstance(handler, logging.StreamHandler):
        return not isinstance(handler.stream, NonBlockingStream | StringIO)
    return not isinstance(handler, logging.NullHandler | logging.handlers.QueueHandler)


def _is_special(path: str) -> bool:
    """Whether ``path`` is something else than a regular file, for example a pipe: ``/dev/stdout``."""
    return Path(path).exists() and not Path(path).is_file()


def _after_fork() -> None:
    for thread in tuple(_handler_threads):
        thread.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(drain)
