"""The limits of a Redis queue, see ``lua/limited.lua``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import NamedTuple

from ....core.job.clock import time_of_micros
from ....core.job.limits import KeyTimes, Limit, Limits, limits_of
from ...claim import Claim
from ...records.limits import Limiting, LimitUse
from ..codec.answers import decoded
from ..codec.claims import choice_payload, kinds_of, limits_payload, numbers_of
from ..codec.payloads import LIMITED, lines, words_of
from ..connections.server import RedisServer
from .pauses import RedisPauses

#: Where the first part of all keys begins, see ``lua/limit_use.lua``.
FIRST_PART = ("4", "0", "0")


class _PartOfUse(NamedTuple):
    now: int
    running: Sequence[bytes]
    """The limit keys of running jobs."""

    levels: Iterable[tuple[str, int, int]]
    """Limit keys, each with the number of its due jobs, and since when the first of them is due, in microseconds."""

    tats: Mapping[str, int]
    closings: Mapping[str, int]
    closed_at: Mapping[str, int]


class RedisLimits(Limiting, RedisPauses):
    """The limits and pauses that hold jobs of ``RedisQueue`` back."""

    server: RedisServer

    def set_limit(self, name: str, limit: Limit | None) -> None:
        """Change a limit, or reset it to its declaration."""
        text = "" if limit is None else "\t".join(map(str, (*numbers_of(limit), json.dumps(asdict(limit)))))
        self.server.run("set_limit", (name, text))

    def open_keys(self, name: str) -> int:
        """Open the keys of a limit that jobs have closed; return how many."""
        return int(self.server.run("open_keys", (name,)))

    def changed_limits(self) -> Limits:
        """Return the limits that people have changed."""
        answer = self.server.ask("HGETALL", self.server.key("changed_limits"))
        pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
        return limits_of({decoded(name): json.loads(decoded(text).rpartition("\t")[2]) for name, text in pairs})

    def limit_use(self, keys: Collection[str] | None = None) -> LimitUse:
        """Return how limits are used. Jobs that begin or end while a long list is read may be missed or count twice."""
        running: Counter[str] = Counter()
        waiting: Counter[str] = Counter()
        oldest: dict[str, int] = {}
        tats: dict[str, int] = {}
        closings: dict[str, int] = {}
        closed_at: dict[str, int] = {}
        for part in self._parts_of_use("*" if keys is None else lines(keys)):
            running.update(map(decoded, part.running))
            for limit_key, number, due in part.levels:
                waiting[limit_key] += number
                oldest[limit_key] = min(due, oldest.get(limit_key, due))
            tats |= part.tats
            closings |= part.closings
            closed_at |= part.closed_at
        times = {
            key: KeyTimes(tats.get(key, 0), closings.get(key, 0), closed_at.get(key, 0))
            for key in tats.keys() | closings.keys()
        }
        return LimitUse(part.now, running, waiting, times, {key: time_of_micros(due) for key, due in oldest.items()})

    def _parts_of_use(self, keys: str) -> Iterator[_PartOfUse]:
        start: Sequence[bytes | str] = FIRST_PART
        while any(start):
            now, running, levels, *times, start = self.server.run("limit_use", (keys, *start))
            triples = zip(map(decoded, levels[::3]), map(int, levels[1::3]), map(int, levels[2::3]), strict=True)
            yield _PartOfUse(int(now), running, triples, *map(_by_key, times))

    def limited_waiting(self, claim: Claim) -> Mapping[str, int]:
        """Return how many limited jobs are due."""
        queues, tags, *_ = choice_payload(claim)
        return _summed(self.server.run("limited_waiting", (queues, tags, _limited_kinds(claim))))

    def oldest_limited(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return the due time of the limited job that has been due for the longest time."""
        return self._oldest(queues, "4567")

    def _oldest(self, queues: tuple[str, ...] | None, kinds: str) -> datetime | None:
        oldest = self.server.run("oldest", (words_of(queues), kinds))
        return time_of_micros(int(oldest)) if oldest else None

    def suspects(self, claim: Claim) -> int:
        """Return how many suspects are due, without limited ones that may not begin now."""
        queues, tags, kinds, _ = choice_payload(replace(claim, suspects=True))
        return int(self.server.run("suspects", (queues, tags, kinds, limits_payload(claim.limits))))


def _limited_kinds(claim: Claim) -> str:
    """Return the kinds of limited jobs that ``claim`` has room for."""
    rooms = zip(kinds_of(claim), (claim.threads, claim.coroutines), strict=True)
    return "".join(str(int(kind) + LIMITED) for kinds, room in rooms if room > 0 for kind in kinds)


def _summed(pairs: Sequence[bytes]) -> Mapping[str, int]:
    """Return the sums of the numbers that follow limit keys."""
    counts: Counter[str] = Counter()
    for limit_key, number in zip(pairs[::2], pairs[1::2], strict=True):
        counts[decoded(limit_key)] += int(number)
    return +counts


def _by_key(pairs: Sequence[bytes]) -> dict[str, int]:
    """Return times in whole microseconds by keys. Redis has them as floating point numbers."""
    return {decoded(key): int(float(time)) for key, time in zip(pairs[::2], pairs[1::2], strict=True)}
