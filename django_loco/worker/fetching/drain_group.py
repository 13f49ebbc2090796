"""Decides when the draining workers of a process may end: not while one's job may still enqueue a job for another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class _EmptyFetches(NamedTuple):
    """An unbroken series of a worker's fetches that found nothing."""

    first: float
    """When the first fetch of the series began (``time.monotonic()``)."""
    last: float
    look_again: Callable[[], object]
    """Lets the next fetch begin at once."""


class DrainGroup:
    """The draining workers of a process, by alias. Its methods may be called from any thread.

    An idle worker reports each fetch that found nothing, with the time at which the fetch began. Such fetches in a row
    form the worker's series. All workers are done if the last fetch of each began after the first fetch in the series
    of every other. Then no job ran in between, and each worker has looked for all that earlier jobs had enqueued.
    """

    def __init__(self, aliases: Iterable[str]) -> None:
        """``aliases``: the aliases whose workers drain, whether these have started or not."""
        self._empty: dict[str, _EmptyFetches | None] = dict.fromkeys(aliases)

    def note(self, alias: str, empty_at: float | None, look_again: Callable[[], object] = lambda: None) -> bool:
        """Record a fetch that found nothing, and return whether all workers are done.

        ``empty_at`` is when the fetch began (``time.monotonic()``); ``None`` if the worker has found or holds a job, or
        may still cause one. ``look_again`` makes the worker fetch at once. It is called when the others have found
        nothing either.
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
        """Record that the worker has ended: it neither enqueues nor takes jobs any more."""
        self._empty.pop(alias, None)
