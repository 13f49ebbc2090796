"""Loggers for threads that must not block: a logging handler that hangs delays them once, and for a moment only.

A handler holds its lock while it writes, to a pipe that nobody reads or a log server that does not answer. The next
thread that logs waits for that lock, and meanwhile handles no signal and misses its deadlines.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from ..core.threads import DaemonThread
from .safe import get_logger

#: How long a thread waits until its line is written.
TIMEOUT_SECONDS = 0.25
#: The number of lines that may wait for a handler that blocks.
MAX_WAITING = 1000

Deliver = Callable[[], object]


class BoundedLogger:
    """A logger with the methods that django-loco uses. It never raises, and waits ``TIMEOUT_SECONDS`` at most.

    1. A separate thread passes each record to the handlers. The caller waits for it, so that lines keep their order.
    2. After a wait has timed out, further records are queued without waiting. Those that do not fit in the queue are
       dropped, counted, and the count is logged.
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
        """Call ``deliver`` in the thread. Wait for it, unless the thread is blocked."""
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
            get_logger(__name__).warning("Dropped %d log lines that could not be written", dropped)


_deliveries = Deliveries()
