"""How workers wait until a key of limited jobs opens."""

from __future__ import annotations

import time

from ...listener import ListeningQueue, QueueListener
from .suspects import LimitedSuspects

#: A wait may be too long by this time.
SAME_TIME_SECONDS = 0.005


class LimitedQueue(LimitedSuspects, ListeningQueue[QueueListener]):
    """A queue whose threads also wait until a fetch may take more limited jobs."""

    _waits_until = 0.0

    def wait(self, timeout: float) -> bool:
        """Block until jobs have arrived, or a key of limited jobs opens."""
        opening = self.next_opening
        self._waits_until = min(time.monotonic() + timeout, opening)
        has_come = super().wait(max(0.0, self._waits_until - time.monotonic()))
        self._waits_until = 0.0
        return has_come or time.monotonic() >= opening

    def let_waits_end(self) -> None:
        """End the waits of threads that began when the next opening was later."""
        if self.next_opening < self._waits_until - SAME_TIME_SECONDS:
            self.interrupt()
