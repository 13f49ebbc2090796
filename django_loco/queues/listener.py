"""The base class of listeners: objects that wait until other processes have enqueued jobs in a database."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet


class QueueListener(ABC):
    """Waits on behalf of one thread, on a connection of its own.

    Only ``interrupt`` may be called by other threads. The other methods raise what Django's database layer raises.
    """

    @abstractmethod
    def __init__(self, alias: str, database: str) -> None:
        """``alias`` is the one in ``TASKS``, ``database`` the one in ``DATABASES``. Connects to nothing yet."""

    @abstractmethod
    def wait(self, timeout: float) -> bool:
        """Block until something was stored since the last call, at most ``timeout`` seconds; return whether it was."""

    @abstractmethod
    def interrupt(self) -> None:
        """End the present ``wait`` at once, or else the next one."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; the next ``wait`` makes a new one."""


class Interruptible(Protocol):
    """A listener, as ``ListenersByThread`` needs it."""

    def interrupt(self) -> None:
        """End the present wait at once, or else the next one."""

    def close(self) -> None:
        """Close the connection."""


L = TypeVar("L", bound=Interruptible)


class ListenersByThread(Generic[L]):
    """The listeners of a queue, one for each thread that waits. No interrupt is lost, even before the first wait."""

    def __init__(self, make: Callable[[], L]) -> None:
        """``make`` makes the listener of a thread."""
        self._make = make
        self._local = threading.local()
        self._lock = threading.Lock()
        self._listeners: WeakSet[L] = WeakSet()
        self._interrupts = 0

    def ready(self) -> L | None:
        """Return the listener of the calling thread; ``None`` if there was an interrupt since its last wait."""
        listener = self._own()  # first: from now on it is interrupted itself
        seen, self._local.interrupts = getattr(self._local, "interrupts", 0), self._interrupts
        return listener if seen == self._local.interrupts else None

    def all(self) -> Sequence[L]:
        """Return the listeners of all threads."""
        with self._lock:
            return tuple(self._listeners)

    def interrupt(self) -> None:
        """End the wait of every thread, and the next one of a thread that is about to wait."""
        with self._lock:
            self._interrupts += 1
        for listener in self.all():
            listener.interrupt()

    def close(self) -> None:
        """Close the connection of the calling thread's listener."""
        if hasattr(self._local, "listener"):
            self._local.listener.close()

    def _own(self) -> L:
        if not hasattr(self._local, "listener"):
            self._local.listener = self._make()
            with self._lock:
                self._listeners.add(self._local.listener)
        listener: L = self._local.listener
        return listener
