"""The thread that finds out whether the interpreter has time for more threads; see ``thread_limit``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ...core.threads.periodic_thread import PeriodicThread
from .thread_limit import MAX_TICK_SECONDS, TICK_SECONDS

#: The time between two turns while no job waits for a thread; ``wake`` ends it.
IDLE_SECONDS = 60.0


class InterpreterMonitor(PeriodicThread):
    """Ticks while jobs wait for a thread, and measures how long it has to wait for the interpreter."""

    def __init__(self, on_tick: Callable[[float], bool], has_backlog: Callable[[], bool]) -> None:
        """Starts nothing.

        Args:
            on_tick: called with the seconds for which the monitor waited for the interpreter; returns whether it
                has woken a thread. While it does, the ticks are short.
            has_backlog: whether jobs wait for a thread.
        """
        self.wake = threading.Event()
        """Set when jobs begin to wait for a thread."""
        super().__init__("loco-worker-monitor", component="worker", wake=self.wake)
        self._on_tick, self._has_backlog = on_tick, has_backlog

    def turn(self) -> float:
        """Tick until no job waits."""
        tick = TICK_SECONDS
        while self._has_backlog() and not self.ended.is_set():
            due = time.monotonic() + tick
            self.ended.wait(tick)
            has_woken = self._on_tick(time.monotonic() - due)
            tick = TICK_SECONDS if has_woken else min(MAX_TICK_SECONDS, 2 * tick)
        return IDLE_SECONDS
