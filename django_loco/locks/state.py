"""The stored state of one lock, and how it changes. Nothing in here asks a store or a clock.

The rules are the same on every store, because a store only reads and replaces the text of a ``LockState``:

- A claimant gets the lock if no lease on it is valid, and nobody is in line before the claimant.
- Each grant has a *token* higher than all before. It is the time of the store's clock in microseconds, or one more than
  the last token if that is higher. So it grows even if a store has lost its data.
- Claimants in line have leases, too. One that has died is passed over when its lease has run out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

#: The lease of a claimant in line, in seconds, unless the lease that it asks for is shorter. A claimant that does not
#: come back in this time is passed over.
WAITING_LEASE_SECONDS = 10.0
#: Seconds for which a store remembers the last token of a lock that nobody uses.
TOKEN_MEMORY_SECONDS = 86_400.0
MICROS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LockClaim:
    """The claim of somebody who wants a lock."""

    owner: str
    """A random text that identifies this claim in the store."""

    place: str
    """The machine and the process: ``host:pid``."""

    job: str
    """The id of the job that has made the claim; empty outside of jobs."""

    lease: int
    """Microseconds for which a grant is valid."""

    waits: bool = True
    """Whether it gets in line if the lock is not free."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """The holder of a lock, or one in line. Times are by the store's clock, in microseconds since 1970."""

    owner: str
    place: str
    job: str
    since: int
    until: int
    """The end of its lease."""


@dataclass(frozen=True, slots=True)
class LockState:
    """A lock: the last token, who holds it, and who waits, the first in line first."""

    token: int = 0
    holder: Claimant | None = None
    waiting: tuple[Claimant, ...] = ()

    def held_at(self, now: int) -> Claimant | None:
        """Return the holder, unless its lease has run out."""
        return self.holder if self.holder is not None and self.holder.until > now else None

    def in_line_at(self, now: int) -> tuple[Claimant, ...]:
        """Return the claimants in line whose leases have not run out."""
        return tuple(each for each in self.waiting if each.until > now)

    def claimed(self, claim: LockClaim, now: int) -> LockState:
        """Return the state in which ``claim`` holds the lock or is in line; the same state if nothing changes."""
        held, line = self.held_at(now), self.in_line_at(now)
        if held is not None and held.owner == claim.owner:
            return self  # the answer to an earlier try was lost
        if held is None and (not line or line[0].owner == claim.owner):
            holder = Claimant(claim.owner, claim.place, claim.job, now, now + claim.lease)
            return LockState(max(self.token + 1, now), holder, line[1:])
        if not claim.waits:
            return self
        return self._in_line(claim, now, line)

    def _in_line(self, claim: LockClaim, now: int, line: tuple[Claimant, ...]) -> LockState:
        until = now + min(claim.lease, round(WAITING_LEASE_SECONDS * MICROS))
        mine = next((each for each in line if each.owner == claim.owner), None)
        if mine is None:
            return replace(self, waiting=(*line, Claimant(claim.owner, claim.place, claim.job, now, until)))
        if 3 * (mine.until - now) > 2 * (until - now):
            return self
        return replace(self, waiting=tuple(replace(each, until=until) if each is mine else each for each in line))

    def renewed(self, owner: str, lease: int, now: int) -> LockState | None:
        """Return the state with a new lease of ``lease`` microseconds; ``None`` if ``owner`` does not hold the lock."""
        held = self.held_at(now)
        if held is None or held.owner != owner:
            return None
        return replace(self, holder=replace(held, until=now + lease))

    def left(self, owner: str) -> LockState:
        """Return the state without ``owner``, which gives the lock back or leaves the line."""
        holder = None if self.holder is not None and self.holder.owner == owner else self.holder
        waiting = tuple(each for each in self.waiting if each.owner != owner)
        return self if (holder, waiting) == (self.holder, self.waiting) else LockState(self.token, holder, waiting)

    def next_at(self, now: int) -> Claimant | None:
        """Return the first in line of a lock that nobody holds."""
        return None if self.held_at(now) is not None else next(iter(self.in_line_at(now)), None)

    def memory_until(self, now: int) -> int:
        """Return when the store may delete the state."""
        ends = (each.until for each in (self.holder, *self.waiting) if each is not None)
        return max([now, *ends]) + round(TOKEN_MEMORY_SECONDS * MICROS)

    def text(self) -> str:
        """Return the state as it is stored: a line of JSON."""
        people = (self.holder, *self.waiting)
        return json.dumps([str(self.token), *(each and list(_fields(each)) for each in people)], ensure_ascii=False)


def state_of(text: str | None) -> LockState:
    """Return the state that ``LockState.text`` has written; ``None``: an unused lock. Raises ``ValueError``."""
    if text is None:
        return LockState()
    try:
        token, holder, *waiting = json.loads(text)
        people = [each and Claimant(*each) for each in (holder, *waiting)]
        return LockState(int(token), people[0], tuple(people[1:]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text[:100]!r} is not what django-loco stores of a lock") from error


def _fields(claimant: Claimant) -> tuple[str, str, str, int, int]:
    return claimant.owner, claimant.place, claimant.job, claimant.since, claimant.until
