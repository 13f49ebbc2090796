"""How much is asked of the queue in one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BatchSize:
    """The number of jobs for one call: halved by each failure, down to one, and doubled by each success.

    What fails for its size (a time limit of the store, a limit for what is sent) is done in smaller parts then.
    """

    def __init__(self, most: int) -> None:
        """``most``: what to begin with, and never to exceed."""
        self.now = self._most = most

    @contextmanager
    def tried(self) -> Iterator[int]:
        """Give the size for the call that is made in here."""
        try:
            yield self.now
        except Exception:
            self.now = max(1, self.now // 2)
            raise
        self.now = min(self._most, 2 * self.now)
