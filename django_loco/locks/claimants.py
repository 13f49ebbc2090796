"""The claims of this process that wait for locks, in the order of their arrival.

Only the first one for each lock looks at the store again and again. The others sleep until it is their turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Claimants:
    """The lines of claims, one for each lock. Used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer may take a lock while the thread is inside
        self._by_name: dict[str, dict[str, Callable[[], object]]] = {}

    def add(self, name: str, owner: str, wake: Callable[[], object]) -> None:
        """Add a claim to the end of the line for the lock ``name``; ``wake`` makes it look at the store."""
        with self._lock:
            self._by_name.setdefault(name, {})[owner] = wake

    def remove(self, name: str, owner: str) -> None:
        """Remove a claim, if it is there, and wake the claim that is first now."""
        with self._lock:
            line = self._by_name.get(name, {})
            line.pop(owner, None)
            first = next(iter(line.values()), None)
            if not line:
                self._by_name.pop(name, None)
        if first is not None:
            first()

    def is_first(self, name: str, owner: str) -> bool:
        """Return whether a claim is the first one of this process."""
        with self._lock:
            return next(iter(self._by_name.get(name, {owner: None}))) == owner

    def is_any(self) -> bool:
        """Return whether any claim waits."""
        with self._lock:
            return bool(self._by_name)

    def has(self, name: str, owner: str) -> bool:
        """Return whether a claim is one of this process."""
        with self._lock:
            return owner in self._by_name.get(name, {})

    def wake(self, name: str, owner: str) -> None:
        """Wake a claim, if it is one of this process."""
        with self._lock:
            wake = self._by_name.get(name, {}).get(owner)
        if wake is not None:
            wake()

    def wake_all_first(self) -> bool:
        """Wake the first claim for each lock; return whether there is any."""
        with self._lock:
            first = [next(iter(line.values())) for line in self._by_name.values()]
        for wake in first:
            wake()
        return bool(first)
