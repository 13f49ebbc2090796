"""Calls of functions that are not ours, sync or async, which may raise or never return."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connections

from ...log.bounded import get_bounded_logger
from . import DaemonThread

logger = get_bounded_logger("django_loco.shutdown")


def call(function: Callable[..., Any], *arguments: Any) -> None:
    """Call ``function``; if it is async, run it to its end on an event loop of its own."""
    result = function(*arguments)
    if inspect.isawaitable(result):
        asyncio.run(_ended(result))


async def _ended(result: Any) -> None:
    await result


class BoundedCalls:
    """Makes each call in a daemon thread of its own, so that none can hold up its caller for longer than it likes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._news = threading.Condition()

    def start(self, what: str, function: Callable[..., Any], *arguments: Any) -> BoundedCall:
        """Begin a call. ``what`` names it in the log, should it raise."""
        return BoundedCall(self._news, what, function, *arguments)

    def wait(self, *calls: BoundedCall, until: Callable[[], float]) -> bool:
        """Wait for the end of ``calls``, at most until the time that ``until`` gives (asked again at each ``wake``)."""
        with self._news:
            while not all(each.ended for each in calls):
                rest = until() - self._clock()
                if rest <= 0:
                    return False
                self._news.wait(rest)
        return True

    def wake(self) -> None:
        """Let every ``wait`` look at the time again."""
        with self._news:
            self._news.notify_all()


class BoundedCall(DaemonThread):
    """One call, whether it has ended, and whether it has raised."""

    def __init__(self, news: threading.Condition, what: str, function: Callable[..., Any], *arguments: Any) -> None:
        super().__init__(name=f"loco {what}")
        self.what = what
        self.ended = self.failed = False
        self._news = news
        self._function, self._arguments = function, arguments
        self.start()

    def run(self) -> None:
        """Call, log what is raised, let go of the thread's database connections."""
        try:
            self.failed = True
            call(self._function, *self._arguments)
            self.failed = False
        except SystemExit as error:
            logger.exception("%s called sys.exit(%r), which ends nothing but the call", self.what, error.code)
        except BaseException:
            logger.exception("%s failed", self.what)
        finally:
            self._end()

    def _end(self) -> None:
        try:
            connections.close_all()
        finally:
            with self._news:
                self.ended = True
                self._news.notify_all()
