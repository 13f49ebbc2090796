"""What the helpers of a worker have in common: a thread that does one thing again and again."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import ClassVar

from ...core.threads import DaemonThread
from ...log.labels import bind
from ...queues import Queue
from ...queues.timeouts import limit
from ..backoff import QueueBackoff


class Role(ABC):
    """One thread of a worker with one task.

    1. ``start`` starts the thread, which calls ``turn`` and waits as long as that says, over and over.
    2. A ``turn`` that raises is logged, once per outage, and tried again with growing delays. It never ends the thread.
    3. ``end`` ends it after the turn it is in.
    """

    name: ClassVar[str]
    """Of the thread, after ``loco-worker-``."""

    duty: ClassVar[str]
    """Completes "The worker cannot": ``"renew its claims"``."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.backoff = QueueBackoff(self.duty, queue)
        self.ended = threading.Event()
        self._thread = DaemonThread(target=self._run, name=f"loco-worker-{self.name}")

    @abstractmethod
    def turn(self) -> float:
        """Do it once; return the seconds until the next turn."""

    def failed(self, error: BaseException) -> None:  # noqa: B027 - few have more to do
        """Do more after a turn that raised ``error`` than to log it."""

    def close(self) -> None:  # noqa: B027 - as above
        """Do what is left to do, and let go of things, in the thread after its last turn."""

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def end(self) -> None:
        """Take no further turn."""
        self.ended.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of the thread, ``timeout`` seconds at most; return whether it has come."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self.is_alive

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        bind(component="worker")
        limit()
        try:
            while not self.ended.wait(self._guarded_turn()):
                pass
        finally:
            self.close()
            self.backoff.close_connection()

    def _guarded_turn(self) -> float:
        try:
            delay = self.turn()
        except BaseException as error:  # noqa: BLE001 - logged by the back-off
            self.failed(error)
            return self.backoff.failed(error)
        self.backoff.succeeded()
        return delay
