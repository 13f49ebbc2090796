"""How threads wait until other processes have enqueued jobs: listeners, and the base class of queues that use them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from ..exceptions import QueueUnavailable
from .base import Queue


class QueueListener(ABC):
    """Waits on behalf of one thread, on a connection of its own. Connects at the first wait.

    Only ``interrupt`` may be called by other threads. The other methods raise the errors of the store's driver.
    """

    @abstractmethod
    def wait(self, timeout: float) -> bool:
        """Block until something was stored since the last call, at most ``timeout`` seconds; return whether it was."""

    @abstractmethod
    def interrupt(self) -> None:
        """End the present ``wait`` at once, or else the next one."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; the next ``wait`` makes a new one."""


L = TypeVar("L", bound=QueueListener)


class ListeningQueue(Queue, Generic[L]):
    """A queue with a listener for each thread that waits. No interrupt is lost, even before the first wait."""

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        """Takes the same arguments as ``Queue``."""
        super().__init__(alias, options)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._listeners: WeakSet[L] = WeakSet()
        self._interrupts = 0

    @abstractmethod
    def _new_listener(self) -> L:
        """Return a listener for the calling thread."""

    @abstractmethod
    def _explained(self) -> AbstractContextManager[None]:
        """Raise ``QueueUnavailable`` for errors of the store within the ``with`` block."""

    def wait(self, timeout: float) -> bool:
        """Block until jobs have arrived."""
        listener = self._own_listener()  # first: from now on it is interrupted itself
        seen, self._local.interrupts = getattr(self._local, "interrupts", 0), self._interrupts
        if seen != self._local.interrupts:
            return False
        try:
            with self._explained():
                return listener.wait(timeout)
        except QueueUnavailable:
            listener.close()
            raise

    def interrupt(self) -> None:
        """End every ``wait``, and the next one of a thread that is about to wait."""
        with self._lock:
            self._interrupts += 1
        for listener in self.listeners():
            listener.interrupt()

    def close(self) -> None:
        """Close the connection on which the calling thread waits."""
        if hasattr(self._local, "listener"):
            self._local.listener.close()

    def listeners(self) -> Sequence[L]:
        """Return the listeners of all threads."""
        with self._lock:
            return tuple(self._listeners)

    def _own_listener(self) -> L:
        if not hasattr(self._local, "listener"):
            self._local.listener = self._new_listener()
            with self._lock:
                self._listeners.add(self._local.listener)
        listener: L = self._local.listener
        return listener
