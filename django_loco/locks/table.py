"""The locks of one alias of ``TASKS`` in this process: claims, leases and the store behind them."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..core import running_tests
from ..exceptions import QueueRefused
from ..jobs.stores import queue_of
from ..queues import Queue
from ..queues.timeouts import STORE_TIMEOUT_SECONDS, store_timeout
from .claimants import Claimants
from .listener import LockListener
from .renewal import Lease, Renewals
from .state import MICROS, LockClaim, LockState, state_of
from .stores import LockStore, store_of

#: The shortest time that a store has to answer.
MIN_STORE_TIMEOUT_SECONDS = 1.0
#: The longest pause before a change is tried again because somebody else was faster, and the tries without a pause.
CONFLICT_PAUSE_SECONDS, TRIES_AT_ONCE = 0.01, 3


def lease_clock() -> float:
    """Return the seconds on a clock that only goes forward, and goes on while the machine is suspended, if it can."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Seen(NamedTuple):
    """A lock as it was stored at a moment."""

    state: LockState
    now: int
    """The time by the store's clock, in microseconds."""

    asked_at: float
    """The time by ``lease_clock`` just before the store was asked."""

    text: str | None
    """The stored text of ``state``."""


class LockTable:
    """One for each alias and process. Methods raise ``QueueUnavailable``."""

    def __init__(self, store: LockStore) -> None:
        self.store = store
        self.claimants = Claimants()
        self.listener = LockListener(store, self.claimants)
        self.renewals = Renewals(self.renew, lease_clock)

    def end(self) -> None:
        """End the threads: a test has ended, or the settings were changed."""
        self.renewals.end()
        self.listener.end()
        self.store.close()

    def claim(self, name: str, claim: LockClaim) -> Seen:
        """Get the lock for ``claim``, or put it in line; return the state after that."""
        with _bounded(claim.lease):
            return self._change(name, lambda state, now: state.claimed(claim, now))

    def renew(self, lease: Lease) -> bool:
        """Renew a lease; return whether it is held."""
        claim = lease.claim
        with _bounded(claim.lease):
            seen = self._change(lease.name, lambda state, now: state.renewed(claim.owner, claim.lease, now) or state)
        if seen.state.holder is None or seen.state.holder.owner != claim.owner or seen.state.holder.until <= seen.now:
            return False
        lease.until = seen.asked_at + (seen.state.holder.until - seen.now) / MICROS
        lease.text = seen.text
        return True

    def leave(self, name: str, claim: LockClaim, text: str | None = None) -> None:
        """Give the lock back, or leave the line, and wake the next one.

        ``text`` is the text that was stored last. If nobody waited, it is probably still stored, and is not read again.
        """
        with _bounded(claim.lease):
            before = _read(name, text)
            is_probable = text is not None and before.holder is not None and not before.waiting
            if not is_probable or not self._swap(name, text, before, claim.owner):
                self._change(name, lambda state, _: state.left(claim.owner))

    def _swap(self, name: str, text: str | None, before: LockState, owner: str) -> bool:
        # Only decides when the store forgets the lock, a day later; an old time is good enough.
        now = before.holder.since if before.holder else 0
        after = before.left(owner)
        return self._stored(name, text, after, now)

    def held(self) -> Iterator[tuple[str, LockState]]:
        """Yield the locks that are held."""
        with store_timeout(STORE_TIMEOUT_SECONDS):
            for name, stored in self.store.held():
                state = _read(name, stored.text)
                if state.held_at(stored.now):
                    yield name, state

    def _change(self, name: str, change: Callable[[LockState, int], LockState]) -> Seen:
        tries = 0
        while True:
            asked_at = lease_clock()
            text, now = (stored := self.store.read(name)).text, stored.now
            before = _read(name, text)
            after = change(before, now)
            if after == before:
                self._wake_here(name, after, now)
                break
            if self._stored(name, text, after, now):
                break
            tries += 1
            if tries > TRIES_AT_ONCE:
                time.sleep(random.random() * CONFLICT_PAUSE_SECONDS)  # noqa: S311 - jitter
        return Seen(after, now, asked_at, text if after == before else after.text())

    def _stored(self, name: str, before: str | None, after: LockState, now: int) -> bool:
        """Store a change and wake the next in line; return whether nobody was faster."""
        following = after.next_at(now)
        is_elsewhere = following is not None and not self.claimants.has(name, following.owner)
        wake = following.owner if following is not None and is_elsewhere else ""
        if not self.store.swap(name, before, after, now, wake):
            return False
        self._wake_here(name, after, now)
        return True

    def _wake_here(self, name: str, state: LockState, now: int) -> None:
        if (following := state.next_at(now)) is not None:
            self.claimants.wake(name, following.owner)


def _read(name: str, text: str | None) -> LockState:
    try:
        return state_of(text)
    except ValueError as error:
        raise QueueRefused(f"The stored state of the lock {name!r} cannot be read; delete it. {error}") from error


@contextmanager
def _bounded(lease: int) -> Iterator[None]:
    """Wait for a store no longer than a third of a lease within the block, so that there is time for another try."""
    with store_timeout(min(STORE_TIMEOUT_SECONDS, max(MIN_STORE_TIMEOUT_SECONDS, lease / MICROS / 3))):
        yield


_tables: dict[str, tuple[Queue, LockTable]] = {}
_lock = threading.Lock()


def table_of(alias: str) -> LockTable:
    """Return the locks of ``TASKS[alias]``, the same for every caller in this process.

    Raises ``ValueError`` if the alias is not one of django-loco's.
    """
    queue = queue_of(alias)
    known = _tables.get(alias)
    if known is None or known[0] is not queue:
        with _lock:
            known = _tables.get(alias)
            if known is None or known[0] is not queue:
                if known is not None:
                    known[1].end()
                known = _tables[alias] = queue, LockTable(store_of(queue))
    return known[1]


def _forget(**kwargs: object) -> None:
    """End what a test has left behind."""
    for _, table in _tables.values():
        table.end()
    _tables.clear()


running_tests.test_began.connect(_forget)


def _after_fork() -> None:
    """Make new tables after a fork: the connections of the old ones are the parent's, and must not be closed here."""
    global _lock
    _lock = threading.Lock()
    _inherited.extend(table for _, table in _tables.values())
    _tables.clear()


_inherited: list[LockTable] = []
os.register_at_fork(after_in_child=_after_fork)
