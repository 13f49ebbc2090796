"""One try to get a lock: what to do next, and how long to wait until then. The waiting itself is up to the caller."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..core.job.clock import time_of_micros
from ..exceptions import LockTimeout, QueueUnavailable
from .renewal import Lease
from .state import MICROS, WAITING_LEASE_SECONDS, Claimant, LockClaim
from .table import LockTable, Seen, lease_clock

#: The longest pause between two looks at a store that tells this process when to look.
LONGEST_POLL_SECONDS = 0.5
#: When pauses get this long, a thread listens. Most waits end earlier, and do without the connection of that thread.
LISTEN_FROM_SECONDS = 0.02
#: The first pause between two looks at the store. Each pause is longer than the one before by this factor.
SHORTEST_POLL_SECONDS, GROWTH = 0.002, 1.5


class Acquisition:
    """One claim of one lock.

    1. ``start`` says how to wake the caller.
    2. The caller calls ``step`` again and again, and waits between the calls, until it returns nothing.
    3. It calls ``abandon`` if a step or a wait was interrupted, or has raised.
    """

    def __init__(self, table: LockTable, name: str, claim: LockClaim, timeout: float | None) -> None:
        """``timeout``: seconds; ``None``: forever."""
        self._table, self._name, self._claim = table, name, claim
        self._timeout = math.inf if timeout is None else timeout
        self._interval = SHORTEST_POLL_SECONDS
        self._ahead = -1
        self.lease: Lease | None = None
        """The lease that was granted."""

        self._began = self._answered_at = lease_clock()
        self._has_asked = False

    def start(self, wake: Callable[[], object]) -> None:
        """Get in line in this process; any thread may call ``wake`` when it is time for the next step."""
        self._table.claimants.add(self._name, self._claim.owner, wake)

    def step(self) -> float | None:
        """Ask the store; return the seconds to wait, unless woken, or ``None`` if the lock was granted.

        Raises ``LockTimeout`` and ``QueueUnavailable``.
        """
        try:
            seen = self._table.claim(self._name, self._claim)
        except QueueUnavailable as error:
            return self._wait_for_store(error)
        self._has_asked, self._answered_at = True, seen.asked_at
        holder = seen.state.held_at(seen.now)
        if holder is not None and holder.owner == self._claim.owner:
            until = seen.asked_at + (holder.until - seen.now) / MICROS
            lease = Lease(self._name, self._claim, seen.state.token, until, lease_clock, text=seen.text)
            if lease.is_lost:  # the answer has come too late
                return SHORTEST_POLL_SECONDS
            self.lease = lease
            self._end()
            return None
        rest = self._began + self._timeout - lease_clock()
        if rest <= 0:
            raise LockTimeout(self._text(seen))
        return min(rest, self._pause(seen, holder))

    def abandon(self) -> None:
        """Leave the line, or give back the lock. If this raises ``QueueUnavailable``, the claim ends with its lease."""
        try:
            self._table.leave(self._name, self._claim)
        finally:
            self._end()

    def _end(self) -> None:
        self._table.claimants.remove(self._name, self._claim.owner)

    def _wait_for_store(self, error: QueueUnavailable) -> float:
        now = lease_clock()
        if not self._has_asked or now - self._answered_at > WAITING_LEASE_SECONDS or now - self._began >= self._timeout:
            raise QueueUnavailable(f"The lock {self._name!r} cannot be taken now. {error}") from error
        return min(1.0, self._began + self._timeout - now)

    def _pause(self, seen: Seen, holder: Claimant | None) -> float:
        if not self._table.claimants.is_first(self._name, self._claim.owner):
            return min(WAITING_LEASE_SECONDS, self._claim.lease / MICROS) / 4  # to stay in line
        line = seen.state.in_line_at(seen.now)
        ahead = next((number for number, each in enumerate(line) if each.owner == self._claim.owner), len(line))
        if ahead != self._ahead:
            self._ahead, self._interval = ahead, SHORTEST_POLL_SECONDS
        self._interval = min(self._longest_poll(), GROWTH * self._interval)
        if holder is None:
            return self._interval
        return min(
            self._interval * (1 + ahead),
            max(SHORTEST_POLL_SECONDS, (holder.until - seen.now) / MICROS),
            LONGEST_POLL_SECONDS,
        )

    def _longest_poll(self) -> float:
        longest = self._table.store.longest_poll_seconds
        if self._interval >= LISTEN_FROM_SECONDS:
            self._table.listener.start()
        return LONGEST_POLL_SECONDS if self._table.listener.is_trusted else longest

    def _text(self, seen: Seen) -> str:
        within = f"was not free within {self._timeout:g} s" if self._timeout else "is not free"
        others = [each for each in seen.state.in_line_at(seen.now) if each.owner != self._claim.owner]
        waiting = f"; {len(others)} others wait for it" if len(others) > 1 else "; another one waits for it"
        if (holder := seen.state.held_at(seen.now)) is None:
            return f"The lock {self._name!r} {within}: {others[0].place} is the next to have it."
        age, since = (seen.now - holder.since) / MICROS, f"{time_of_micros(holder.since):%Y-%m-%d %H:%M:%S} UTC"
        job = f" in the job {holder.job}" if holder.job else ""
        return (
            f"The lock {self._name!r} {within}: {holder.place} has it{job} since {since}, "
            f"for {age:.1f} s{waiting if others else ''}."
        )
