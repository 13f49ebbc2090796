"""Waits until another process gives back a lock that a claim of this process waits for."""

from __future__ import annotations

import threading
import time

from ..core.backoff import LoggedBackoff
from ..core.threads.periodic_thread import PeriodicThread
from ..log.safe import get_logger
from ..queues.listener import QueueListener
from ..queues.timeouts import store_timeout
from .claimants import Claimants
from .stores import LockStore

logger = get_logger("django_loco.locks")

#: How long the thread waits at a time, and how long it stays when no claim waits.
WAIT_SECONDS, LINGER_SECONDS = 1.0, 10.0


class LockListener:
    """A thread that listens while claims wait, so that a lock passes faster from one process to the next.

    A pooler may let it listen, but pass on no notification. So it is trusted only after it has heard something.
    """

    def __init__(self, store: LockStore, claimants: Claimants) -> None:
        """Prepare it, without starting the thread."""
        self._store, self._claimants = store, claimants
        self._lock = threading.Lock()
        self._thread: _ListenerThread | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether claims can rely on this thread to tell them when to look at the store."""
        thread = self._thread
        return thread is not None and thread.is_alive and thread.has_heard and not thread.backoff.failures

    def start(self) -> None:
        """Listen until no claim waits any more, if the store can notify and the system has a thread for it."""
        with self._lock:
            thread = self._thread
            if thread is None or thread.ended.is_set() or (thread.has_started and not thread.is_alive):
                if (listener := self._store.listener()) is None:
                    return
                self._thread = thread = _ListenerThread(listener, self._claimants)
            try:
                thread.start()
            except RuntimeError as error:  # the system has no more threads: the next look tries again
                logger.debug("The thread of locks cannot listen, so claims look more often: %s", error)

    def end(self) -> None:
        """Stop listening."""
        with self._lock:
            if self._thread is not None:
                self._thread.stop()


class _ListenerThread(PeriodicThread):
    def __init__(self, listener: QueueListener, claimants: Claimants) -> None:
        backoff = LoggedBackoff(logger, "The thread of locks", "listen", 1.0, 30.0)
        super().__init__("loco-locks-listener", backoff)
        self._listener, self._claimants = listener, claimants
        self._needed_at = time.monotonic()
        self._waits = 0
        self.has_heard = False

    def turn(self) -> float:
        """Wait for a notification, and wake the claims that may be next."""
        with store_timeout():
            was_heard = self._listener.wait(WAIT_SECONDS)
        self._waits += 1
        self.has_heard = self.has_heard or (was_heard and self._waits > 1)  # the first is for missed ones
        now = time.monotonic()
        if self._claimants.wake_all_first() if was_heard else self._claimants.is_any():
            self._needed_at = now
        elif now - self._needed_at > LINGER_SECONDS:
            self.end()
        return 0.0

    def failed(self, error: BaseException) -> float:
        """Connect again, if any claim waits."""
        seconds = super().failed(error)
        if not self._claimants.is_any():
            self.end()
        self._listener.close()
        return seconds

    def stop(self) -> None:
        """End now."""
        self.end()
        self._listener.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._listener.close()
