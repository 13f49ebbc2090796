"""Adapts the number of jobs in one call to the capacity of the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BatchSize:
    """The number of jobs in one call: halved by each failure, down to one, and doubled by each success.

    A call may fail because of its size (a time limit, a limit on the bytes sent). It is then repeated in smaller parts.
    """

    def __init__(self, most: int) -> None:
        """``most`` is the first size, and the largest."""
        self.now = self._most = most

    @contextmanager
    def tried(self) -> Iterator[int]:
        """Yield the size for the call within the ``with`` block, and adapt it to the result of the call."""
        try:
            yield self.now
        except Exception:
            self.now = max(1, self.now // 2)
            raise
        self.now = min(self._most, 2 * self.now)
