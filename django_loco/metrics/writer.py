"""Writes statistics to the queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..log.safe import get_logger
from ..queues import Queue
from ..queues.records.minutes import Minute
from ..queues.timeouts import store_timeout
from .tally import Tally

logger = get_logger("django_loco.metrics")

WRITE_EVERY_SECONDS = 60.0
#: How long a write may block its thread if the store hangs.
WRITE_SECONDS = 2.0
#: The aliases whose queues have refused the last write.
_refusing: set[str] = set()


class MinuteWriter:
    """Writes the counts of a ``Tally``, once a minute. For one thread."""

    def __init__(self, queue: Queue, tally: Tally, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue, self._tally, self._clock = queue, tally, clock
        self._next_at = clock() + WRITE_EVERY_SECONDS

    def write_if_due(self) -> None:
        """Call ``write`` if the last write was at least a minute ago."""
        if self._clock() >= self._next_at:
            self._next_at = self._clock() + WRITE_EVERY_SECONDS
            self.write()

    def write(self) -> None:
        """Write the counts since the last write."""
        if minutes := self._tally.take():
            write(self._queue, minutes)


def write(queue: Queue, minutes: Sequence[Minute]) -> None:
    """Add ``minutes`` to the statistics of ``queue``.

    Counts are dropped if the write fails, because it is unknown whether they were stored. Statistics must not disturb
    jobs. So this function raises nothing, and logs an error only once until a write succeeds.
    """
    try:
        with store_timeout(WRITE_SECONDS):
            queue.record(minutes)
    except Exception as error:  # noqa: BLE001 - a queue of a project may raise anything
        if queue.alias not in _refusing:
            _refusing.add(queue.alias)
            logger.warning(
                "TASKS[%r]: the statistics of up to a minute could not be stored and are lost; jobs are not "
                "affected: %s",
                queue.alias,
                error,
            )
    else:
        _refusing.discard(queue.alias)
