"""When the workers of a process that drain may end: none does while a job of another may still enqueue one for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class _EmptyFetches(NamedTuple):
    """Fetches of a worker, one after the other, that found nothing."""

    first: float
    """When the first of them began, in seconds of ``time.monotonic()``."""
    last: float
    look_again: Callable[[], object]
    """Lets the next fetch begin at once."""


class DrainGroup:
    """The workers of a process that drain, by alias. Its methods may be called from any thread.

    Each worker notes its fetches that found nothing while it had nothing to do itself, by the time at which they
    began. All workers are done if the last fetch of each began after the first one in a row of each other: then no
    job of any of them ran in between, and each has looked for what the earlier ones had enqueued.
    """

    def __init__(self, aliases: Iterable[str]) -> None:
        """``aliases``: those whose workers have yet to find nothing, whether they have started or not."""
        self._empty: dict[str, _EmptyFetches | None] = dict.fromkeys(aliases)

    def note(self, alias: str, empty_at: float | None, look_again: Callable[[], object] = lambda: None) -> bool:
        """Note a fetch of ``time.monotonic()`` ``empty_at`` that found nothing; return whether all are done.

        ``None``: the worker has found or holds a job, or may bring one about. ``look_again`` ends its wait for the
        next fetch. It is called when the others have found nothing either.
        """
        before = self._empty.get(alias)
        own = None if empty_at is None else _EmptyFetches(before.first if before else empty_at, empty_at, look_again)
        self._empty[alias] = own
        if own is None:
            return False
        found = [each for each in tuple(self._empty.values()) if each is not None]
        if len(found) < len(self._empty):
            return False
        for other in found:
            if other is not own:
                other.look_again()
        return max(each.first for each in found) <= min(each.last for each in found)

    def leave(self, alias: str) -> None:
        """Note that the worker has ended: it enqueues nothing more, and takes nothing more."""
        self._empty.pop(alias, None)
