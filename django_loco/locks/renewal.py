"""Renews the leases of held locks in the background, and tells when one is lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core.backoff import LoggedBackoff
from ..core.threads.bounded_calls import BoundedCalls
from ..core.threads.periodic_thread import PeriodicThread
from ..log.safe import get_logger
from .state import MICROS, LockClaim

logger = get_logger("django_loco.locks")

#: A renewal that fails is tried again after this share of the lease, and after this number of seconds at most.
RETRY_SHARE, LONGEST_RETRY_SECONDS = 0.05, 1.0


@dataclass(eq=False)
class Lease:
    """A lock that this process holds."""

    name: str
    claim: LockClaim
    token: int
    until: float
    """The end of the lease by ``table.lease_clock``, or a moment before."""

    clock: Callable[[], float]
    on_lost: Callable[[], object] | None = None
    is_kept: Callable[[], bool] = lambda: True
    """Whether the ``Lock`` still exists: an exception at the wrong moment may have kept it from being given back."""

    on_forgotten: Callable[[], object] | None = None
    """Gives the lock back if the ``Lock`` no longer exists."""

    reason: str = ""
    """Why the lock is lost, or why the last renewal has failed."""

    is_gone: bool = False
    due: float = 0.0
    """When to renew it."""

    text: str | None = None
    """The stored value of the lock, unless another process has changed it."""

    pid: int = field(default_factory=os.getpid)

    @property
    def seconds(self) -> float:
        """The length of the lease."""
        return self.claim.lease / MICROS

    @property
    def is_lost(self) -> bool:
        """Whether somebody else may hold the lock now. It does not change back."""
        if not self.is_gone and self.pid != os.getpid():
            self.is_gone, self.reason = True, "this process is a fork of the holder"
        if not self.is_gone and self.clock() >= self.until:
            self.is_gone, self.reason = True, self.reason or "this process was stopped or too busy to renew it"
        return self.is_gone


class Renewals:
    """The leases of one store. A thread renews them, as long as there are any."""

    def __init__(self, renew: Callable[[Lease], bool], clock: Callable[[], float]) -> None:
        """``renew`` renews a lease in the store and returns whether it was still held."""
        self._renew, self._clock = renew, clock
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()
        self._thread: _RenewalThread | None = None

    def add(self, lease: Lease) -> None:
        """Renew ``lease`` from now on."""
        lease.due = self._clock() + lease.seconds / 3
        with self._lock:
            is_first = all(lease.due < other.due for other in self._leases)
            self._leases.add(lease)
            if self._thread is None or not self._thread.is_alive:
                self._thread = _RenewalThread(self)
                self._thread.start()
            elif is_first:
                self._thread.hurry()

    def remove(self, lease: Lease) -> None:
        """Stop renewing ``lease``."""
        with self._lock:
            self._leases.discard(lease)

    def end(self) -> None:
        """Stop renewing all leases, and end the thread."""
        with self._lock:
            self._leases.clear()
            if self._thread is not None:
                self._thread.end()
                self._thread = None

    def renew_due(self) -> float | None:
        """Renew the leases that are due; return the seconds until the next one. ``None``: none is left."""
        now = self._clock()
        with self._lock:
            due = [lease for lease in self._leases if min(lease.due, lease.until) <= now]
        for lease in due:
            if lease.is_kept():
                self._renew_one(lease)
            else:
                self._give_back(lease)
        with self._lock:
            if not self._leases:
                self._thread = None
                return None
            return max(0.0, min(min(lease.due, lease.until) for lease in self._leases) - self._clock())

    def _renew_one(self, lease: Lease) -> None:
        try:
            if not lease.is_lost and not self._renew(lease):
                lease.is_gone, lease.reason = True, "its lease had ended in the store"
        except Exception as error:  # noqa: BLE001 - whatever it is, the lease goes on until it ends
            lease.reason = f"the store cannot be reached: {error}"
            lease.due = self._clock() + min(LONGEST_RETRY_SECONDS, RETRY_SHARE * lease.seconds)
        else:
            lease.due = self._clock() + lease.seconds / 3
            lease.reason = lease.reason if lease.is_gone else ""
        if lease.is_lost:
            self._lose(lease)

    def _give_back(self, lease: Lease) -> None:
        self.remove(lease)
        logger.warning("The lock %r was not given back at the end of its block, which was interrupted", lease.name)
        if lease.on_forgotten is not None:
            lease.on_forgotten()

    def _lose(self, lease: Lease) -> None:
        with self._lock:
            if lease not in self._leases:
                return  # it was given back meanwhile
            self._leases.discard(lease)
        logger.error("Lost the lock %r with the token %d: %s", lease.name, lease.token, lease.reason)
        if lease.on_lost is not None:
            BoundedCalls().start(f"on_lost of the lock {lease.name!r}", lease.on_lost)


class _RenewalThread(PeriodicThread):
    def __init__(self, renewals: Renewals) -> None:
        backoff = LoggedBackoff(logger, "The thread of locks", "renew leases", 1.0, LONGEST_RETRY_SECONDS)
        self._hurry = threading.Event()
        super().__init__("loco-locks", backoff, wake=self._hurry)
        self._renewals = renewals

    def turn(self) -> float:
        """Renew the leases that are due."""
        seconds = self._renewals.renew_due()
        if seconds is None:
            self.end()
            return 0.0
        return seconds

    def hurry(self) -> None:
        """Look at the leases now."""
        self._hurry.set()
