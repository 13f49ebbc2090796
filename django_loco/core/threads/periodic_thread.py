"""A thread that does one thing repeatedly."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from ...log.labels import bind
from ..backoff import Backoff
from . import DaemonThread
from .queries import forget_queries
from .stray_forks import ForksEndHere


class PeriodicThread(ABC):
    """A daemon thread that takes turns.

    1. ``start`` starts the thread. It calls ``turn``, then waits for the number of seconds that ``turn`` returned, or
       until the event ``wake`` is set.
    2. If a turn raises, ``failed`` says when to try again. ``wake`` does not shorten that wait.
    3. ``end`` ends the thread after the present turn, and ends a wait at once.
    4. The thread calls ``close`` before it ends, even after an error.
    """

    def __init__(
        self, name: str, backoff: Backoff | None = None, *, component: str = "", wake: threading.Event | None = None
    ) -> None:
        """Prepare the thread, without starting it.

        Args:
            name: the name of the thread.
            backoff: counts the turns that raise, and logs them if it is a ``LoggedBackoff``; see ``failed``.
            component: the label of its log lines.
            wake: ends the wait between two turns; cleared before the next turn.
        """
        self.backoff = backoff or Backoff(1.0, 30.0)
        self.ended = threading.Event()
        """Set when the thread should take no further turn."""
        self._component = component
        self._wake = wake or threading.Event()
        self._starting = threading.Lock()
        self._thread = DaemonThread(target=self.run, name=name)

    @abstractmethod
    def turn(self) -> float:
        """Do the work once; return the seconds until the next turn."""

    def failed(self, error: BaseException) -> float:
        """Return the seconds until the next turn after one that raised ``error``."""
        return self.backoff.failed(error)

    def succeeded(self) -> None:
        """Reset the back-off after a turn that did not raise."""
        self.backoff.succeeded()

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Release the resources of the turns; called in the thread."""

    def start(self) -> None:
        """Start the thread, once."""
        with self._starting:
            if not self.has_started:
                self._thread.start()

    def end(self) -> None:
        """Take no further turn."""
        self.ended.set()
        self._wake.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the end of the thread; return whether it is not running."""
        if self.has_started:
            self._thread.join(timeout)
        return not self.is_alive

    @property
    def has_started(self) -> bool:
        """Whether ``start`` was called."""
        return self._thread.ident is not None

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def run(self) -> None:
        """Take turns until ``end``; the body of the thread."""
        if self._component:
            bind(component=self._component)
        try:
            while not self.ended.is_set():
                self._wait(self._guarded_turn())
        finally:
            self.close()

    def _guarded_turn(self) -> float:
        try:
            with ForksEndHere():
                seconds = self.turn()
        except BaseException as error:  # noqa: BLE001 - failed() logs it
            return self.failed(error)
        finally:
            forget_queries()
        self.succeeded()
        return seconds

    def _wait(self, seconds: float) -> None:
        if self.backoff.failures:
            self.ended.wait(seconds)
            return
        if seconds > 0:
            self._wake.wait(min(seconds, threading.TIMEOUT_MAX))
        self._wake.clear()
