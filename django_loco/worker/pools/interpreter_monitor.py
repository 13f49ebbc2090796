"""The thread that finds out whether the interpreter has time for more threads; see ``thread_limit``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ...core.threads.periodic_thread import PeriodicThread
from .thread_limit import MAX_SAMPLE_SECONDS, SAMPLE_SECONDS

#: The time between two turns while no job waits for a thread; ``wake`` ends it.
IDLE_SECONDS = 60.0


class InterpreterMonitor(PeriodicThread):
    """Takes samples while jobs wait for a thread: measures how long it has to wait for the interpreter."""

    def __init__(self, on_sample: Callable[[float], bool], has_backlog: Callable[[], bool]) -> None:
        """Starts nothing.

        Args:
            on_sample: called with the seconds that the monitor waited for the interpreter. Returns whether it has woken
                a thread; then the next sample comes soon.
            has_backlog: whether jobs wait for a thread.
        """
        self.wake = threading.Event()
        """Set when jobs begin to wait for a thread."""
        super().__init__("loco-worker-monitor", component="worker", wake=self.wake)
        self._on_sample, self._has_backlog = on_sample, has_backlog

    def turn(self) -> float:
        """Take samples until no job waits."""
        pause = SAMPLE_SECONDS
        while self._has_backlog() and not self.ended.is_set():
            due = time.monotonic() + pause
            self.ended.wait(pause)
            has_woken = self._on_sample(time.monotonic() - due)
            pause = SAMPLE_SECONDS if has_woken else min(MAX_SAMPLE_SECONDS, 2 * pause)
        return IDLE_SECONDS
