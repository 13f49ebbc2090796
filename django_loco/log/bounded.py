"""Log lines of threads that must get on: a handler that blocks holds them up for a moment, and only once.

A handler writes while it holds its lock: to a pipe that nobody reads, to a log server that does not answer. Whoever
logs next waits for that lock. A thread that waits there hears no signal and keeps no deadline.
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

#: Seconds that a line may take.
TIMEOUT_SECONDS = 0.25
#: How many lines wait for handlers that block.
MAX_WAITING = 1000

Deliver = Callable[[], object]


class BoundedLogger:
    """As much of a logger as is needed here. It never raises, and never waits for longer than ``TIMEOUT_SECONDS``.

    1. A record is handed to a thread that gives it to the handlers, and waited for, so that lines keep their order.
    2. Once a wait was in vain, further records queue up without being waited for. Of those that do not fit in the queue
       there will be a count.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def info(self, message: str, *args: object) -> None:
        """Log something that happened as it should."""
        self._log(logging.INFO, message, args)

    def warning(self, message: str, *args: object) -> None:
        """Log something worth a look."""
        self._log(logging.WARNING, message, args)

    def error(self, message: str, *args: object) -> None:
        """Log something that failed."""
        self._log(logging.ERROR, message, args)

    def exception(self, message: str, *args: object) -> None:
        """Log something that failed, with the exception that is being handled."""
        self._log(logging.ERROR, message, args, sys.exc_info())

    def _log(self, level: int, message: str, args: tuple[object, ...], error: Any = None) -> None:
        if self._logger.isEnabledFor(level):
            file, line, function, _ = self._logger.findCaller(stacklevel=3)
            record = self._logger.makeRecord(self._logger.name, level, file, line, message, args, error, function)
            context = copy_context()  # what labels the line
            _deliveries.make(lambda: context.run(self._logger.handle, record))


def get_bounded_logger(name: str) -> BoundedLogger:
    """Return the logger ``name``, as one that holds nobody up."""
    return BoundedLogger(logging.getLogger(name))  # noqa: TID251 - see above


class Deliveries:
    """One thread that gives records to handlers, and those who wait for it, but not for long."""

    def __init__(self, timeout: float = TIMEOUT_SECONDS, limit: int = MAX_WAITING) -> None:
        """``timeout`` is in seconds."""
        self.dropped = 0
        """How many were dropped since that was last told."""
        self._timeout = timeout
        self._queue: queue.Queue[tuple[Deliver, threading.Event]] = queue.Queue(limit)
        self._is_held_up = False
        self._thread: DaemonThread | None = None

    def make(self, deliver: Deliver) -> None:
        """Have ``deliver`` called, and wait for it, unless others are waited for in vain."""
        done = threading.Event()
        try:
            self._start()
            self._queue.put_nowait((deliver, done))
        except (queue.Full, RuntimeError):  # the second: no thread can be started, as the interpreter is about to end
            self.dropped += 1
            return
        if not self._is_held_up and not done.wait(self._timeout):
            self._is_held_up = True

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
            except BaseException:  # noqa: BLE001 - a handler's own; a line that cannot be logged cannot be told either
                self.dropped += 1
            done.set()
            if self._is_held_up and self._queue.empty():
                self._is_held_up = False
                self._log_dropped()

    def _log_dropped(self) -> None:
        dropped, self.dropped = self.dropped, 0
        if dropped:
            get_logger(__name__).warning("%d log lines were dropped, as they could not be written", dropped)


_deliveries = Deliveries()
