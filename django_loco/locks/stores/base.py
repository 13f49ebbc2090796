"""The interface of the stores of locks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ...queues.listener import QueueListener
from ..state import LockState


@dataclass(frozen=True, slots=True)
class Stored:
    """The stored value of a lock."""

    text: str | None
    """The text of its ``LockState``; ``None``: nothing is stored."""

    now: int
    """The time of the store's clock when the text was read, in microseconds since 1970."""


def process_of(owner: str) -> str:
    """Return the ``LockStore.process`` of the process that has made the claim ``owner``."""
    return owner.partition(".")[0]


class LockStore(ABC):
    """Keeps a text for each lock. Used by many threads. Methods raise ``QueueUnavailable``.

    It knows nothing of leases or lines: ``swap`` replaces the text that was read with a new text, unless somebody
    else was faster. So each change is made as a whole or not at all, on any store.
    """

    longest_poll_seconds: float = 0.05
    """How long the first in line may wait until it looks again."""

    process: str = ""
    """The beginning of the owners of all claims of this process, for a store that wakes single processes."""

    @abstractmethod
    def read(self, name: str) -> Stored:
        """Return the stored value of the lock ``name``."""

    @abstractmethod
    def swap(self, name: str, before: str | None, after: LockState, now: int, wake: str = "") -> bool:
        """Store ``after`` if the text is still ``before``; return whether it was. ``now`` is the time of the read.

        ``wake`` is the owner of a claim in another process. The store wakes that claim if it can: see ``listener``.
        """

    @abstractmethod
    def held(self) -> Sequence[tuple[str, Stored]]:
        """Return the names and values of all locks that somebody seems to hold; their leases may have expired."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Close the connections that are not in use."""

    def listener(self) -> QueueListener | None:
        """Return a listener that waits until a claim of this process should look at the store; by default ``None``.

        It may report too often, and may miss a change: the first in line looks by itself, too.
        """
        return None
