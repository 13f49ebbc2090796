"""Locks in the memory of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from ..state import MICROS, LockState
from .base import LockStore, Stored


class MemoryLocks(LockStore):
    """For the queue in memory, and for databases in memory. No other process sees them."""

    longest_poll_seconds = 0.5  # claimants of the same process wake each other

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer may take a lock while the thread is inside
        self._texts: dict[str, tuple[str, int]] = {}
        self._next_sweep = 0

    def read(self, name: str) -> Stored:
        """Return the stored value of a lock."""
        with self._lock:
            return Stored(self._text(name), _now())

    def swap(self, name: str, before: str | None, after: LockState, now: int, wake: str = "") -> bool:  # noqa: ARG002
        """Store ``after`` if the text is still ``before``."""
        with self._lock:
            if self._text(name) != before:
                return False
            self._texts[name] = after.text(), after.memory_until(now)
            self._sweep(now)
            return True

    def held(self) -> Sequence[tuple[str, Stored]]:
        """Return all that is stored."""
        with self._lock:
            return [(name, Stored(text, _now())) for name, (text, _) in self._texts.items()]

    def _text(self, name: str) -> str | None:
        return self._texts.get(name, (None, 0))[0]

    def _sweep(self, now: int) -> None:
        """Once an hour, delete the locks that nobody has used for a day."""
        if now >= self._next_sweep:
            self._next_sweep = now + 3600 * MICROS
            self._texts = {name: kept for name, kept in self._texts.items() if kept[1] > now}


def _now() -> int:
    # Looks like the time of day, but never goes back: the time of day may be set.
    return time.monotonic_ns() // 1000 + _EPOCH


_EPOCH = time.time_ns() // 1000 - time.monotonic_ns() // 1000
