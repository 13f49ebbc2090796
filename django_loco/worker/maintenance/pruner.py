"""Deletes the results of jobs that ended long ago."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ...queues import Queue
from .batch_size import BatchSize

PRUNE_EVERY_SECONDS = 60.0
PRUNE_BATCH = 1_000
#: After this time the rest is left for the next turn, so that rescues and batches need not wait for a million
#: deletions.
TURN_SECONDS = 0.2


class Pruner:
    """Deletes results that are older than ``RESULT_TTL``, once a minute."""

    def __init__(
        self, queue: Queue, result_ttl: float, ended: threading.Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``result_ttl`` is in seconds; once ``ended`` is set, no further batch is deleted."""
        self._queue, self._result_ttl, self._ended, self._clock = queue, result_ttl, ended, clock
        self._batch_size = BatchSize(PRUNE_BATCH)
        self._next_at = clock()

    def prune_if_due(self) -> bool:
        """Delete old results for ``TURN_SECONDS``, if the last time was a minute ago; return whether more may be left.

        Raises the queue's errors.
        """
        until = self._clock() + TURN_SECONDS
        is_due = self._clock() >= self._next_at
        while is_due and not self._ended.is_set():
            with self._batch_size.tried() as size:
                is_full = self._queue.prune(self._result_ttl, size) >= size
            if not is_full:
                self._next_at = self._clock() + PRUNE_EVERY_SECONDS
                return False
            if self._clock() >= until:
                return True
        return False
