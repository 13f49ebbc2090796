"""Wakes the fetcher when jobs arrive."""

from __future__ import annotations

import random
import threading
from typing import ClassVar

from ...queues import Queue
from .queue_thread import QueueThread

#: Seconds that one wait for the queue lasts at most: no blocking call is without end.
WAIT = 1.0


class QueueListener(QueueThread):
    """Waits for the queue while the fetcher wants more jobs than it has, and rings its bell when some have come.

    While the pools are full there is nothing to be woken for; the queue is not even asked.
    """

    name: ClassVar[str] = "listener"
    duty: ClassVar[str] = "wait for jobs"

    def __init__(self, queue: Queue, wants_jobs: threading.Event, wake: threading.Event) -> None:
        super().__init__(queue)
        self._wants_jobs = wants_jobs
        self._wake_fetcher = wake

    def turn(self) -> float:
        """Wait once."""
        self._wants_jobs.wait()
        if self.queue.wait(WAIT * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter
            self._wants_jobs.clear()  # first: the fetcher, woken, may find that it still is
            self._wake_fetcher.set()
        return 0.0

    def end(self) -> None:
        """End also in the midst of waiting."""
        super().end()
        self._wants_jobs.set()
        self.queue.interrupt()
