"""How urgently signals ask for the end, where several of them may mean one wish."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable

from ...shutdown import FORCED, Shutdown
from .listener import ONE_SIGNAL


def obey(shutdown: Shutdown, level: int, name: str) -> None:
    """Do what the signal ``name`` asks for, which is the wish number ``level``."""
    match level:
        case 1:
            shutdown.request(name, signal=name)
        case 2:
            shutdown.hurry()
        case _:
            os._exit(FORCED)


class Urgency:
    """Counts wishes: 1 is to end, 2 to wait no longer, 3 to end on the spot.

    - What comes within ``ONE_SIGNAL`` seconds of a wish belongs to it: Ctrl-C reaches all processes of a terminal, and
      the parent among them may send its children SIGTERM. A process that gets both at a time sees them in any order.
    - SIGTERM is a wish only if it is the first: process managers send it more than once.
    - SIGINT and SIGQUIT come from a hand. A SIGQUIT for every SIGINT is gunicorn's way of passing that on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.level = 0
        self._clock = clock
        self._at = 0.0
        self._signals: Counter[str] = Counter()

    def hear(self, name: str) -> bool:
        """Count a signal; return whether it is a wish of its own."""
        before = self._by_hand
        self._signals[name] += 1
        is_wish = self.level == 0 or (self._by_hand > before and self._clock() - self._at > ONE_SIGNAL)
        if is_wish:
            self.level, self._at = self.level + 1, self._clock()
        return is_wish

    @property
    def _by_hand(self) -> int:
        return max(self._signals["SIGINT"], self._signals["SIGQUIT"])
