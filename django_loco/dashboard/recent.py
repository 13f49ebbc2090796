"""Keeps what is read for some seconds, so that many viewers cost a store no more than one."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by a key, each for some seconds. For any thread; two may read the same at the same time.

    There may be any number of keys: those that are too old are forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, of_jobs: bool = False) -> None:
        """``clock`` returns seconds. ``of_jobs``: ``forget_jobs`` clears it, as long as the process lives."""
        self._clock = clock
        self._known: dict[Hashable, tuple[float, Value]] = {}
        """Until when each value is kept, and the value."""

        if of_jobs:
            _of_jobs.append(self)

    def get(self, key: Hashable, seconds: float, read: Callable[[], Value]) -> Value:
        """Return the value of ``key``, read anew if it is older than ``seconds``. Raises what ``read`` raises."""
        all_known = self._known  # if this is cleared while somebody reads, what they have read is not kept
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
        """Return the value of ``key`` if it is not too old; else ``None``."""
        known = self._known.get(key)
        return known[1] if known is not None and self._clock() < known[0] else None

    def clear(self) -> None:
        """Forget all values."""
        self._known = {}


_of_jobs: list[Recent[Any]] = []


def forget_jobs() -> None:
    """Read anew what is kept about jobs: somebody has changed some, and looks at them next."""
    for each in _of_jobs:
        each.clear()
