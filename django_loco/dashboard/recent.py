"""Keeps what is read for some seconds, so that many viewers cost a store no more than one."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by a key, each for some seconds. For any thread; two may read the same at the same time.

    There may be any number of keys: those that are too old are forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` returns seconds."""
        self._clock = clock
        self._known: dict[Hashable, tuple[float, Value]] = {}
        """Until when each value is kept, and the value."""

    def get(self, key: Hashable, seconds: float, read: Callable[[], Value]) -> Value:
        """Return the value of ``key``, read anew if it is older than ``seconds``. Raises what ``read`` raises."""
        known = self._known.get(key)
        if known is not None and self._clock() < known[0]:
            return known[1]
        value = read()
        now = self._clock()
        for old in [each for each, (until, _) in [*self._known.items()] if until <= now]:
            self._known.pop(old, None)
        self._known[key] = now + seconds, value
        return value

    def peek(self, key: Hashable) -> Value | None:
        """Return the value of ``key`` if it is not too old; else ``None``."""
        known = self._known.get(key)
        return known[1] if known is not None and self._clock() < known[0] else None

    def clear(self) -> None:
        """Forget all values."""
        self._known.clear()
