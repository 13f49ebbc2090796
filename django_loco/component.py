"""What runs beside the web server, or instead of it: one set of verbs for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar


class Component(ABC):
    """A part of the process with threads of its own: a worker, a scheduler, or a class of yours.

    1. ``start`` brings its threads up and returns at once. Threads are daemons, so that none can keep the
       process from ending, and are always joined, so that none is cut off.
    2. ``quiet`` stops it from taking anything new; what runs goes on.
    3. ``stop`` says that it should end as soon as what runs is done, and at the latest at ``deadline``.
    4. ``join`` waits for that.

    All four may be called from any thread, more than once, and in a signal handler's wake; only ``join`` blocks.
    """

    name: ClassVar[str]
    """The word for it in logs, on the banner and in health: ``"worker"``."""

    @abstractmethod
    def start(self) -> None:
        """Bring the threads up. Raises if that cannot work; what can heal itself (a lost database) does not raise."""

    @abstractmethod
    def quiet(self) -> None:
        """Take nothing new from now on."""

    @abstractmethod
    def stop(self, deadline: float) -> None:
        """End when what runs is done; at ``deadline`` (``time.monotonic()``, seconds) hand back what is not."""

    @abstractmethod
    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (``None``: for ever) for the end; return whether it has come."""

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it does its work: a component that was started, was not stopped and is not alive has died."""

    def health(self) -> dict[str, Any]:
        """Return what tells progress, as JSON values; at least ``{"alive": bool}``."""
        return {"alive": self.is_alive}
