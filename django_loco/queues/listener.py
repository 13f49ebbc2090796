"""How a thread waits for jobs that other processes enqueue."""

from __future__ import annotations

from abc import ABC, abstractmethod


class QueueListener(ABC):
    """The ear of one thread, with a connection of its own.

    Only ``interrupt`` may be called by other threads. All else raises what Django's database layer raises.
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
        """Let go of the connection; the next ``wait`` makes a new one."""
