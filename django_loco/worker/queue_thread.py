"""The base class of the worker's helper threads, which call the queue periodically."""

from __future__ import annotations

from typing import ClassVar

from ..core.threads.periodic_thread import PeriodicThread
from ..queues import Queue
from ..queues.timeouts import set_store_timeout
from .backoff import QueueBackoff


class QueueThread(PeriodicThread):
    """A periodic thread with one duty. Errors of the queue do not end it.

    A turn that raises is logged once per outage, and retried with growing delays and a new connection.
    """

    backoff: QueueBackoff

    name: ClassVar[str]
    """The name of the thread, after ``loco-worker-``."""

    duty: ClassVar[str]
    """Completes "The worker cannot": ``"renew its claims"``."""

    def __init__(self, queue: Queue) -> None:
        super().__init__(f"loco-worker-{self.name}", QueueBackoff(self.duty, queue), component="worker")
        self.queue = queue

    def succeeded(self) -> None:
        """End an outage if the queue answers. The turn's success is no proof: it may not have needed the queue."""
        if not self.backoff.failures or self.queue.answers():
            super().succeeded()
        else:
            self.backoff.close_connection()

    def run(self) -> None:
        """Take turns until ``end``, and close the connection to the queue."""
        set_store_timeout()
        try:
            super().run()
        finally:
            self.backoff.close_connection()
