"""Keeps values for some seconds, so that many viewers cost a store no more than one."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by key, each kept for some seconds. For any thread; two threads may read the same value at the same time.

    There may be any number of keys, because old values are dropped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, of_jobs: bool = False) -> None:
        """``clock`` returns seconds.

        ``of_jobs``: ``forget_jobs`` clears this object, which lives as long as the process.
        """
        self._clock = clock
        self._known: dict[Hashable, tuple[float, Value]] = {}
        """Each value, with the time until which it is kept."""

        if of_jobs:
            _of_jobs.append(self)

    def get(self, key: Hashable, seconds: float, read: Callable[[], Value]) -> Value:
        """Return the value of ``key``, read anew if it is older than ``seconds``. Raises what ``read`` raises."""
        all_known = self._known  # if it is cleared during a read, the value that was read is not kept
        known = all_known.get(key)
        if known is not None and self._clock() < known[0]:
            return known[1]
        value = read()
        now = self._clock()
        for old in [each for each, (until, _) in [*all_known.items()] if until <= now]:
            all_known.pop(old, None)
        all_known[key] = now + seconds, value
        return value

    def peek(self, key: Hashable) -> Value | None:
        """Return the value of ``key``; ``None`` if there is none or it is too old."""
        known = self._known.get(key)
        return known[1] if known is not None and self._clock() < known[0] else None

    def clear(self) -> None:
        """Drop all values."""
        self._known = {}


_of_jobs: list[Recent[Any]] = []


def forget_jobs() -> None:
    """Drop all values about jobs, because the user has changed some and will look at them next."""
    for each in _of_jobs:
        each.clear()
