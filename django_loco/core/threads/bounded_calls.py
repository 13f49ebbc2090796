"""Calls functions of the project, sync or async, with a time limit. They may raise or never return."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connections

from ...log.output.bounded import get_bounded_logger
from . import DaemonThread
from .stray_forks import ForksEndHere

logger = get_bounded_logger("django_loco.shutdown")


def call(function: Callable[..., Any], *arguments: Any) -> None:
    """Call ``function`` and wait for it; if it is async, run it on a new event loop."""
    result = function(*arguments)
    if inspect.isawaitable(result):
        asyncio.run(_awaited(result))


async def _awaited(result: Any) -> None:
    await result


class BoundedCalls:
    """Makes each call in a new daemon thread, so that the caller can stop waiting for it.

    If the system has no more threads, the caller makes the call itself: a shutdown must go on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()

    def start(self, label: str, function: Callable[..., Any], *arguments: Any) -> BoundedCall:
        """Start a call and return it. ``label`` names it in the log if it raises."""
        return BoundedCall(self._changed, label, function, *arguments)

    def wait(self, *calls: BoundedCall, until: Callable[[], float]) -> bool:
        """Wait for ``calls`` to end; return whether all have.

        ``until`` returns the deadline on the clock, in seconds. It is called again after each ``wake``.
        """
        with self._changed:
            while not all(each.ended for each in calls):
                remaining = until() - self._clock()
                if remaining <= 0:
                    return False
                self._changed.wait(remaining)
        return True

    def wake(self) -> None:
        """Make every ``wait`` read its deadline again."""
        with self._changed:
            self._changed.notify_all()


class BoundedCall(DaemonThread):
    """One call: whether it has ended, and whether it has failed."""

    def __init__(self, changed: threading.Condition, label: str, function: Callable[..., Any], *arguments: Any) -> None:
        super().__init__(name=f"loco {label}")
        self.label = label
        self.ended = self.failed = False
        self._changed = changed
        self._function, self._arguments = function, arguments
        try:
            self.start()
        except RuntimeError as error:  # the caller waits without a limit, but the call is made
            logger.warning("%s has no time limit, because no thread can be started: %s", label, error)
            self.run()

    def run(self) -> None:
        """Make the call, log exceptions, and close the database connections of this thread."""
        try:
            self.failed = True
            with ForksEndHere():
                call(self._function, *self._arguments)
            self.failed = False
        except SystemExit as error:
            logger.exception("%s called sys.exit(%r), which only ends the call", self.label, error.code)
        except BaseException:
            logger.exception("%s failed", self.label)
        finally:
            self._end()

    def _end(self) -> None:
        try:
            connections.close_all()
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify_all()
