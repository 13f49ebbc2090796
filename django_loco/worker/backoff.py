"""The back-off of the worker's threads when the queue does not answer."""

from __future__ import annotations

import random
from collections.abc import Callable

from ..core.backoff import LoggedBackoff
from ..log.safe import get_logger
from ..queues import Queue

logger = get_logger("django_loco.worker")

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 0.1, 5.0
#: Workers that have lost the same database must not all try again at the same moment.
SPREAD = 0.5


class QueueBackoff(LoggedBackoff):
    """Closes the connection to the queue at each failure, so that the next try begins with a new one."""

    def __init__(self, duty: str, queue: Queue, jitter: Callable[[], float] = random.random) -> None:
        """``duty`` completes "The worker cannot": ``"renew its claims"``."""
        super().__init__(
            logger, "The worker", duty, FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, spread=SPREAD, jitter=jitter
        )
        self._queue = queue

    def failed(self, error: BaseException | None = None) -> float:
        """Count ``error`` as a failure, and return the seconds until the next try."""
        self.close_connection()
        return super().failed(error)

    def close_connection(self) -> None:
        """Close the calling thread's connection to the queue."""
        try:
            self._queue.close()
        except BaseException as error:  # noqa: BLE001 - closed because it is broken
            logger.debug("Closing the connection to the queue: %s", error)
