"""How several schedulers on one queue share the work of firing, and why no tick is lost by it.

Every tick is fired once whoever fires it, since a queue takes its key once. If five schedulers try, four do so in vain.
Where that is much, one of them leads, and the others look whether it has fired what is due instead of doing so.

What the leader tells, and what a standby believes
--------------------------------------------------
For each tick of the last seconds the leader tells a digest of the *keys* that the queue has taken or has refused as
known: a fact about the queue. A standby makes the same digest of the keys that it would have fired. If they are equal,
each of its keys is in the queue, and it goes on. In every other case it fires them itself:

* The leader has not told of this tick ``PATIENCE`` seconds after it was due here: it was killed, hangs, cannot reach
  the database, or its clock is behind.
* It has told another digest: it is of another release, or has other tags, zone data, pauses or rows of the database.
* It has left, as all do that are stopped in good order; or there is no row, or no database, any more.

So nothing rests on leases, clocks or versions: what a standby does not find proven it fires, and the queue refuses what
was fired after all. It fires at most ``PATIENCE`` seconds late, and that only where ticks come so often that a leader
told of one less than ``TRUST`` seconds ago.

Who leads
---------
1. Everybody begins alone and fires all that is due. A scheduler of which the queue refuses ``MANY`` ticks a second
   looks at the board, and leads if nobody does, or the leader says no more.
2. One that is alone and fires as many looks every ``SELDOM`` seconds. If the leader has told what it has fired itself,
   it stands by.
3. A standby that had to fire what the leader had not is alone again.

A scheduler without others reads a row every ``SELDOM`` seconds while it fires many ticks, and otherwise does nothing of
this.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from .board import Word

#: Seconds that a standby waits for what the leader tells of a tick, and between two looks.
PATIENCE, LOOK = 1.5, 0.5
#: Seconds between two tellings of the leader.
TELL = 0.5
#: Seconds for which a standby takes the leader for alive.
TRUST = 10.0
#: Ticks per second from which on it is worth it, and seconds between two looks of one that is alone and not refused.
MANY, SELDOM = 10, 10.0
#: Seconds after which the leader has told of what was fired, unless it is gone.
TOLD = 1.0
#: Of how many moments the latest ticks are told.
MOMENTS = 200


class Role(StrEnum):
    """What a scheduler is on a queue."""

    ALONE = "alone"
    LEADER = "leader"
    STANDBY = "standby"


class Verdict(StrEnum):
    """What a standby does with ticks."""

    DROP = "drop"
    WAIT = "wait"
    FIRE = "fire"


class Readable(Protocol):
    """A ``Board``."""

    def read(self) -> Word | None:
        """Return what stands there, if anything does."""

    def write(self, seen: Word | None, word: Word) -> bool:
        """Write ``word`` over what was ``seen``; return whether nobody has written anything else meanwhile."""


class Fired:
    """The keys that a queue has, by the time of their tick: the latest."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, tuple[set[str], float]] = OrderedDict()

    def add(self, tick: datetime, key: str, at: float) -> None:
        """Note that the queue has ``key``, as was found out ``at`` (monotonic seconds)."""
        keys, _ = self._keys.setdefault(tick.isoformat(), (set(), at))
        keys.add(key)
        while len(self._keys) > MOMENTS:
            self._keys.popitem(last=False)

    def digests(self) -> dict[str, str]:
        """Return what the leader tells."""
        return {tick: digest(keys) for tick, (keys, _) in self._keys.items()}

    def newest(self, before: float) -> tuple[str, str] | None:
        """Return the last tick that was noted up to ``before``, and its digest."""
        for tick, (keys, at) in reversed(self._keys.items()):
            if at <= before:
                return tick, digest(keys)
        return None


def digest(keys: Iterable[str]) -> str:
    """Return what is the same for the same keys only."""
    return hashlib.blake2b("\n".join(sorted(keys)).encode(), digest_size=16).hexdigest()


class Lead:
    """The part that one scheduler has in firing the ticks of one queue.

    1. ``judge`` says what to do with ticks that are due.
    2. ``note`` is told of each tick that the queue has taken, or refused as known.
    3. ``tend``, after that, tells it, or looks what others tell. ``leave`` ends it.

    Used by one thread; only ``role`` may be read from others. ``clock`` is monotonic, in seconds.
    """

    def __init__(self, board: Readable, holder: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.role = Role.ALONE
        self._board, self._holder, self._clock = board, holder, clock
        self._fired = Fired()
        self._taken = self._refused = 0
        self._is_news = False
        self._word: Word | None = None
        self._word_since = self._last_look = self._last_told = self._last_proof = self._counted_from = clock()
        self._waiting: OrderedDict[str, float] = OrderedDict()

    def judge(self, due: Mapping[datetime, Iterable[str]]) -> dict[datetime, Verdict]:
        """Return what to do with the ticks whose keys are ``due``."""
        if self.role is not Role.STANDBY:
            return dict.fromkeys(due, Verdict.FIRE)
        now = self._clock()
        first = {tick: self._waiting.setdefault(tick.isoformat(), now) for tick in due}
        if any(now - since >= LOOK for since in first.values()) and now - self._last_look >= LOOK:
            self._read(now)
        found = {tick: self._verdict(tick, keys, now - first[tick]) for tick, keys in due.items()}
        if Verdict.FIRE in found.values() or now - self._last_proof > TRUST:
            self._be(Role.ALONE)
            return {tick: Verdict.DROP if is_so is Verdict.DROP else Verdict.FIRE for tick, is_so in found.items()}
        return found

    def note(self, tick: datetime, key: str, *, is_ours: bool) -> None:
        """Note that the queue has ``key``; ``is_ours``: that this scheduler was the one to bring it."""
        self._fired.add(tick, key, self._clock())
        self._taken += is_ours
        self._refused += not is_ours
        self._is_news = True

    def tend(self) -> None:
        """Tell what is new, or look what others tell, if it is time for that. Raises what the board raises."""
        now = self._clock()
        if self.role is Role.LEADER:
            if self._is_news and now - self._last_told >= TELL:
                self._tell(now)
        elif self.role is Role.ALONE and now - self._counted_from >= TOLD:
            enough = MANY * (now - self._counted_from)
            is_refused, is_busy = self._refused >= enough, self._taken + self._refused >= enough
            self._taken, self._refused, self._counted_from = 0, 0, now
            if is_refused or (is_busy and now - self._last_look >= SELDOM):
                self._look(now, may_lead=is_refused)

    def leave(self) -> None:
        """Leave the lead, if this one has it, to whoever asks next. Raises what the board raises."""
        if self.role is Role.LEADER and self._word is not None:
            self._write(Word("", self._word.beat + 1, self._fired.digests()))
        self._be(Role.ALONE)

    def give_up(self) -> None:
        """Fire everything oneself: the board cannot be reached."""
        self._be(Role.ALONE)
        self._last_look = self._clock()

    @property
    def waits(self) -> float | None:
        """In how many seconds ``tend`` has something to tell; ``None``: it has nothing."""
        if self.role is not Role.LEADER or not self._is_news:
            return None
        return max(0.0, self._last_told + TELL - self._clock())

    def _verdict(self, tick: datetime, keys: Iterable[str], waited: float) -> Verdict:
        word = self._word
        if word is None or not word.holder:
            return Verdict.FIRE
        told = word.fired.get(tick.isoformat())
        if told is not None and told == digest(keys):
            self._last_proof = self._clock()
            self._waiting.pop(tick.isoformat(), None)
            return Verdict.DROP
        return Verdict.WAIT if told is None and waited < PATIENCE else Verdict.FIRE

    def _look(self, now: float, *, may_lead: bool) -> None:
        word, mine = self._read(now), self._fired.newest(now - TOLD)
        told = None if word is None or mine is None else word.fired.get(mine[0])
        if word is not None and word.holder and mine is not None and told == mine[1]:
            self._last_proof = now
            self._be(Role.STANDBY)
        elif may_lead and (word is None or not word.holder or (told is None and now - self._word_since >= PATIENCE)):
            self._take(now)

    def _read(self, now: float) -> Word | None:
        self._last_look = now
        word = self._board.read()
        if word is None or self._word is None or word.beat != self._word.beat:
            self._word_since = now
        self._word = word
        return word

    def _take(self, now: float) -> None:
        seen = self._word
        if self._write(Word(self._holder, 1 if seen is None else seen.beat + 1, self._fired.digests())):
            self._be(Role.LEADER)
            self._last_told, self._is_news = now, False

    def _tell(self, now: float) -> None:
        assert self._word is not None  # noqa: S101 - a leader has written it
        self._last_told, self._is_news = now, False
        if not self._write(Word(self._holder, self._word.beat + 1, self._fired.digests())):
            self._be(Role.ALONE)  # Another one has taken over.

    def _write(self, word: Word) -> bool:
        is_written = self._board.write(self._word, word)
        if is_written:
            self._word, self._word_since = word, self._clock()
        return is_written

    def _be(self, role: Role) -> None:
        self.role = role
        self._waiting.clear()
