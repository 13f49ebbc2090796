"""Counts the signals that ask a process to end: the first ends it, the second ends the wait, the third kills it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from enum import IntEnum

from ...shutdown import FORCED, Shutdown

#: Signals within this time count as one. ``timeout`` and some process managers signal a process and then its group, and
#: Ctrl-C reaches all processes of a terminal. No person presses a key twice that fast.
ONE_SIGNAL_SECONDS = 0.1


class Level(IntEnum):
    """How urgently the end was asked for."""

    RUNNING = 0
    END = 1
    FORCE = 2
    KILL = 3


def signals_after(name: str, count: int) -> int:
    """Return how often the end was asked for, after ``count`` signals and the signal ``name``.

    SIGHUP counts only if it is the first signal. When a terminal is closed, its shell sends a SIGHUP to each process,
    and the kernel sends another one to all of them, at any time.
    """
    return count if name == "SIGHUP" and count else count + 1


def handle_signal(shutdown: Shutdown, level: int, name: str) -> None:
    """Carry out the signal ``name`` at this level."""
    if level >= Level.KILL:
        os._exit(FORCED)
    elif level == Level.FORCE:
        shutdown.force()
    else:
        shutdown.request(name, signal=name)


class Escalation:
    """Counts signals in a process that this package owns.

    A signal repeated within ``ONE_SIGNAL_SECONDS`` counts once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.level = 0
        self._clock = clock
        self._last, self._at = "", 0.0

    def note(self, name: str) -> bool:
        """Record a signal. Return whether it counts."""
        now = self._clock()
        counts = name != self._last or now - self._at > ONE_SIGNAL_SECONDS
        self._last, self._at = name, now
        self.level += counts
        return counts


class EmbeddedEscalation:
    """Counts signals in a process that another server owns.

    - All signals within ``ONE_SIGNAL_SECONDS`` count once: Ctrl-C reaches all processes of a terminal, and the server's
      master may send its children SIGTERM. A process that gets both at once may see them in any order.
    - SIGTERM counts only if it is the first signal, because process managers send it more than once.
    - SIGINT and SIGQUIT are signals from people. gunicorn passes each SIGINT on as a SIGQUIT.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.level = 0
        self._clock = clock
        self._at = 0.0
        self._signals: Counter[str] = Counter()

    def note(self, name: str) -> bool:
        """Record a signal. Return whether it counts."""
        before = self._by_people
        self._signals[name] += 1
        counts = self.level == 0 or (self._by_people > before and self._clock() - self._at > ONE_SIGNAL_SECONDS)
        if counts:
            self.level, self._at = self.level + 1, self._clock()
        return counts

    @property
    def _by_people(self) -> int:
        return max(self._signals["SIGINT"], self._signals["SIGQUIT"])
