"""The thread that waits for new jobs on behalf of the fetcher."""

from __future__ import annotations

import random
import threading
from typing import ClassVar

from ...queues import Queue
from ..queue_thread import QueueThread

#: The maximum duration of a wait for the announcement of jobs: no blocking call is unlimited.
LISTEN_SECONDS = 3.0


class JobListener(QueueThread):
    """Waits for the queue while the fetcher wants more jobs, and wakes the fetcher when some have arrived.

    While the pools are full it does not wait for the queue.
    """

    name: ClassVar[str] = "listener"
    duty: ClassVar[str] = "wait for jobs"

    def __init__(self, queue: Queue, wants_jobs: threading.Event, wake: threading.Event) -> None:
        """``wants_jobs`` is set while the fetcher wants jobs; ``wake`` wakes the fetcher."""
        super().__init__(queue)
        self._wants_jobs = wants_jobs
        self._wake_fetcher = wake

    def turn(self) -> float:
        """Wait once."""
        self._wants_jobs.wait()
        if self.queue.wait(LISTEN_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter
            self._wants_jobs.clear()  # before the fetcher wakes up, which may set it again
            self._wake_fetcher.set()
            if not self.ended.is_set():
                self._wants_jobs.wait()  # at once, so that the fetcher gets the interpreter without delay
        return 0.0

    def end(self) -> None:
        """Take no further turn, and end a wait."""
        super().end()
        self._wants_jobs.set()
        self.queue.interrupt()
