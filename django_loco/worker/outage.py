"""What to do when a queue does not answer: say so once, come back later, say that it is over."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable

from ..exceptions import QueueUnavailable
from ..queues import Queue
from ..safe_logging import get_logger

logger = get_logger("django_loco.worker")

FIRST_DELAY, MAX_DELAY = 0.1, 5.0  # seconds


class Outage:
    """The troubles of one thread of a worker with its queue.

    When the queue is away, each thread of the worker meets that for itself. The first one says so as an error, for all
    of them (see ``share``).
    """

    def __init__(self, what: str, queue: Queue, jitter: Callable[[], float] = random.random) -> None:
        """``what`` completes "The worker cannot": ``"renew its claims"``."""
        self._queue = queue
        self.what = what
        self.reason = ""
        """What was wrong at the last try; empty when all is well."""
        self._jitter = jitter
        self._tries = 0
        self._shared = _Shared()

    def met(self, error: BaseException) -> float:
        """Take note of ``error``; return the seconds to wait before the next try, which begins with a new connection.

        They double from 0.1 to 5, give or take half: workers that lost one database must not come back as one.
        """
        self.let_go()
        if not self._tries:
            self._log(error)
        self._tries += 1
        self.reason = f"{type(error).__name__}: {error}"
        return min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(self._tries - 1, 16)) * (0.5 + self._jitter())

    def over(self) -> None:
        """Take note that the queue has answered."""
        if self._tries:
            logger.info("The worker can %s again, after %d tries", self.what, self._tries)
            self._tries = 0
            self.reason = ""
            self._shared.leave(self)

    def let_go(self) -> None:
        """Close the calling thread's connection to the queue."""
        try:
            self._queue.close()
        except BaseException as error:  # noqa: BLE001 - it is broken, which is why it is closed
            logger.debug("Closing the connection to the queue: %s", error)

    def _log(self, error: BaseException) -> None:
        unexpected = not isinstance(error, QueueUnavailable)
        level = logging.ERROR if unexpected or self._shared.enter(self) else logging.INFO
        logger.log(level, "The worker cannot %s for now: %s", self.what, error, exc_info=error if unexpected else None)


class _Shared:
    """The outages of one worker that go on because its queue is away."""

    def __init__(self) -> None:
        self._present: set[Outage] = set()
        self._lock = threading.Lock()

    def enter(self, outage: Outage) -> bool:
        """Return whether it is the first."""
        with self._lock:
            is_first = not self._present
            self._present.add(outage)
            return is_first

    def leave(self, outage: Outage) -> None:
        with self._lock:
            self._present.discard(outage)


def share(outages: Iterable[Outage]) -> None:
    """Let one of ``outages``, of the threads of one worker, speak for all."""
    shared = _Shared()
    for outage in outages:
        outage._shared = shared  # noqa: SLF001 - of the same class
