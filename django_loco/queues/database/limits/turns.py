"""Whose turn it is among limited jobs in a database. Reads only the clock of the process, and does no I/O itself."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from ....core.job.limits import Limiter, keys_of
from ...rows.unreadable import EPOCH

#: The number of levels whose keys are read at once.
CHUNK = 100
NEVER = float("inf")

#: A sort key for the order of jobs: priority (negated), due time.
Place = tuple[int, datetime]
#: The id of a job, or of its row, and its place.
Head = tuple[Any, Place]
#: A level, and the first of its jobs.
Line = tuple["LimitLevel", deque[Head]]


class LimitLevel(NamedTuple):
    """Waiting jobs of the same kind, limit key and priority."""

    is_async: bool
    limit_key: str
    priority: int


class Levels:
    """The levels with due jobs that a worker may take, as far as this process knows, in the order of their turns."""

    def __init__(self) -> None:
        self.closed_until: dict[LimitLevel, float] = {}
        """Each level, and until when it is left alone, by ``time.monotonic()``."""
        self.heads: Mapping[LimitLevel, datetime] = {}
        """When the first job of each level was due at the last look."""
        self.next_look = 0.0
        self.passes_over_until = 0.0
        """Until when jobs that somebody else has locked are not looked at, by ``time.monotonic()``."""
        self.opening = NEVER
        """When a fetch may take more jobs than the last one."""
        self.had_plain = True
        """Whether plain jobs were due beside limited ones at the last claim."""

    def found(self, levels: Mapping[LimitLevel, datetime]) -> None:
        """Keep what a look has found: levels, and when the first job of each was due. New levels come last."""
        self.heads = levels
        found, before = dict.fromkeys(levels, 0.0), self.closed_until
        self.closed_until = {level: until for level, until in before.items() if level in found}
        self.closed_until |= {level: until for level, until in found.items() if level not in before}

    def open_all(self) -> None:
        """Open all levels, because limits have changed."""
        self.closed_until = dict.fromkeys(self.closed_until, 0.0)

    def open(self, keys: Collection[str]) -> None:
        """Open the levels that have one of ``keys``, because these have room again."""
        for level, until in tuple(self.closed_until.items()):
            if until and not set(keys_of(level.limit_key)).isdisjoint(keys):
                self.closed_until[level] = 0.0

    def open_ones(self) -> list[LimitLevel]:
        """Return the levels that are open."""
        now = time.monotonic()
        return [level for level, until in self.closed_until.items() if until <= now]

    def served(self, level: LimitLevel) -> None:
        """Let the next turn of ``level`` come after the turns of all others."""
        self.closed_until[level] = self.closed_until.pop(level, 0.0)

    @property
    def next_opening(self) -> float:
        """When the first of the closed levels opens."""
        now = time.monotonic()
        return min((until for until in self.closed_until.values() if until > now), default=NEVER)


class Choice:
    """Chooses jobs for one claim."""

    def __init__(
        self,
        levels: Levels,
        limiter: Limiter,
        prepare: Callable[[Sequence[LimitLevel]], None],
        heads: Callable[[Sequence[LimitLevel], int], Mapping[LimitLevel, deque[Head]]],
        rank: Callable[[int, datetime], Place],
    ) -> None:
        """``prepare`` reads the times that ``limiter`` needs for levels; ``heads`` returns some of their first jobs.

        ``rank`` is the method of the claim.
        """
        self._levels, self._limiter, self._prepare, self._heads = levels, limiter, prepare, heads
        self._rank = rank
        self.closed: dict[LimitLevel, int] = {}
        """Levels that open by themselves, and when, as in ``core.job.limits``."""
        self._full: set[str] = set()
        """Keys that stay full during this claim. Thousands of levels may have one of them beside keys of their own."""

    def best(self, is_async: bool, room: int, plain: deque[Place]) -> dict[Any, str]:
        """Return the ids and limit keys of jobs to take. ``plain``: the places of other jobs that want the room."""
        chosen: dict[Any, str] = {}
        for _, levels in groupby(self._by_priority(is_async), key=attrgetter("priority")):
            room = self._take_turns(deque(levels), room, plain, chosen)
            if room <= 0:
                break
        return chosen

    def _by_priority(self, is_async: bool) -> list[LimitLevel]:
        """Return the open levels of one kind, grouped by priority, the best ones first.

        With ageing, the level whose turn it is decides on the rank of its priority.
        """
        of_kind = [level for level in self._levels.open_ones() if level.is_async is is_async]
        ranks: dict[int, Place] = {}
        for level in of_kind:
            if level.priority not in ranks:
                ranks[level.priority] = self._rank(level.priority, self._levels.heads.get(level, EPOCH))
        return sorted(of_kind, key=lambda level: (ranks[level.priority], level.priority))

    def _take_turns(self, waiting: deque[LimitLevel], room: int, plain: deque[Place], chosen: dict[Any, str]) -> int:
        """Let levels of one priority take turns until there is no room; return the room that is left."""
        again: deque[Line] = deque()
        while room > 0 and (waiting or again):
            present, again = (deque(self._next_ones(waiting, room)), again) if waiting else (again, deque())
            while present and room > 0:
                level, jobs = present.popleft()
                if not self._has_room(level):
                    continue
                room -= _passed_by(plain, jobs[0][1], room)
                is_alone = not (present or again or waiting or plain)  # then it need not take one turn after the other
                number = min(room, len(jobs), self._limiter.room(level.limit_key)) if is_alone else min(room, 1)
                if number > 0:
                    room -= number
                    chosen |= {jobs.popleft()[0]: level.limit_key for _ in range(number)}
                    self._limiter.start(level.limit_key, number)
                    self._levels.served(level)
                if jobs:
                    again.append((level, jobs))
        return room

    def _next_ones(self, waiting: deque[LimitLevel], number: int) -> Iterator[Line]:
        """Return the next levels with room, and their jobs: one of each, or more if there are few levels."""
        found: list[LimitLevel] = []
        while waiting and len(found) < number:
            chunk: list[LimitLevel] = []
            while waiting and len(chunk) < CHUNK:
                level = waiting.popleft()
                if self._has_room(level):  # by the keys that are known, and the jobs that run
                    chunk.append(level)
            self._prepare(chunk)
            found += [level for level in chunk if self._has_room(level)]
        waiting.extendleft(reversed(found[number:]))
        heads = self._heads(found[:number], 1 if waiting else number) if found else {}
        for level in found[:number]:
            if level in heads:
                yield level, heads[level]
            else:
                self._levels.closed_until.pop(level, None)  # until the next look

    def _has_room(self, level: LimitLevel) -> bool:
        if not self._full.isdisjoint(keys_of(level.limit_key)):
            return False
        if self._limiter.room(level.limit_key) > 0:
            return True
        opens_at = self._limiter.opens_at(level.limit_key)
        if opens_at is None:
            self._full |= self._limiter.full_keys(level.limit_key)
        else:
            self.closed[level] = opens_at
        return False


def _passed_by(plain: deque[Place], place: Place, room: int) -> int:
    """Remove the places before ``place``, at most ``room``; return how many."""
    number = 0
    while number < room and plain and plain[0] < place:
        plain.popleft()
        number += 1
    return number
