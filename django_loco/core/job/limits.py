"""Limits: how many jobs run at once, and how many begin per time. No clock and no I/O.

A job obeys the *keys* in its ``limit_key``, with a space between them. A key is the name of a limit in
``LOCO["LIMITS"]``, or a name, a colon and a value: each value is limited by itself.

*Concurrency* counts the jobs of a key that are ``RUNNING``. So no slot can leak: whatever ends a job, or rescues it,
makes room.

*Rate* follows GCRA, the "generic cell rate algorithm". Each key has one time, its ``tat`` (theoretical arrival time).
Each start moves this time forward by an *interval*. A job may begin while the time is less than ``burst`` intervals
ahead. So with a burst of 1, jobs begin at even distances, and no period of time has more starts than the rate says.
A worker may claim a job and then not begin it. It gives back the start: the time moves back by an interval, but not
into the past, so that never more than ``burst`` jobs begin at once.
All times are whole microseconds by the clock of the store.

This module has the rules, and each store asks them where it claims jobs: memory and the databases call ``Limiter``
(``queues/database/limits/claims.py`` reads the keys and claims, ``turns.py`` beside it keeps their turns); in
Redis ``limited.lua`` claims, and ``limiter.lua`` has the same rules in Lua.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from ..validation import COUNT, Rule, did_you_mean

#: The lengths of the periods of a rate, in seconds, by their letters.
PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
#: The room of a key without a limit: more than any worker can use.
UNLIMITED = 2**62
MAX_NAME, MAX_RATE = 50, 1_000_000
#: The maximum number of limits of a job.
MAX_LIMITS = 10
_RATE = re.compile(r"([1-9][0-9]*)/([smhd])")
_KEYS = re.compile(r"[!-~]+(?: [!-~]+)*")
_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_NAME}}}")


def _is_rate(value: Any) -> bool:
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    return found is not None and int(found[1]) <= MAX_RATE


_RULES = {
    "concurrency": COUNT,
    "rate": Rule(_is_rate, f'jobs per second, minute, hour or day, such as "100/m", {MAX_RATE:,} at most'),
    "burst": COUNT,
}


def is_limit_name(value: object) -> bool:
    """Return whether ``value`` can be the name of a limit."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def are_limits(value: object) -> bool:
    """Return whether ``value`` can be the limits of a task: a list of names."""
    return isinstance(value, list | tuple) and len(value) <= MAX_LIMITS and all(map(is_limit_name, value))


def tells_keys_apart(value: object) -> bool:
    """Return whether ``value`` is the name of an argument, a function or its path, or a dict of these by limit."""
    if isinstance(value, Mapping):
        return all(is_limit_name(name) and tells_keys_apart(by) for name, by in value.items())
    return callable(value) or (isinstance(value, str) and all(part.isidentifier() for part in value.split(".")))


def is_limit_key(text: str) -> bool:
    """Return whether ``text`` can be the ``limit_key`` of a job: keys of printable ASCII with a space between them."""
    return _KEYS.fullmatch(text) is not None


@lru_cache(1024)
def interval_of(rate: str) -> int:
    """Return the microseconds between two starts, rounded up so that never more jobs begin than ``rate`` says."""
    number, letter = rate.split("/")
    return -(-PERIODS[letter] * 1_000_000 // int(number))


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. At least one of ``concurrency`` and ``rate`` is set."""

    concurrency: int | None = None
    """The number of jobs that run at once."""

    rate: str | None = None
    """The number of jobs that begin per period: ``"100/m"``."""

    burst: int = 1
    """The number of jobs that may begin at once after a pause."""


#: The limits of ``LOCO["LIMITS"]`` by their names.
Limits = Mapping[str, Limit]
NO_LIMITS: Limits = MappingProxyType({})


def problems_of_limit(name: str, value: Any) -> list[str]:
    """Return one sentence for each mistake in the declaration ``name``, such as ``LOCO['LIMITS']['api']``."""
    if not isinstance(value, Mapping):
        return [f'{name} is {value!r}; it must be a dict such as {{"concurrency": 5, "rate": "100/m", "burst": 20}}.']
    unknown = [f"{name}[{key!r}] is unknown.{did_you_mean(str(key), [*_RULES])}" for key in value if key not in _RULES]
    given = {key: item for key, item in value.items() if key in _RULES and item is not None}
    wrong = [problem for key, item in given.items() if (problem := _RULES[key].problem(f"{name}[{key!r}]", item))]
    if unknown or wrong:
        return unknown + wrong
    if not given.keys() & {"concurrency", "rate"}:
        return [f"{name} limits nothing; add a concurrency, a rate, or both."]
    if "burst" in given and "rate" not in given:
        return [f"{name} has a burst, but no rate. Add a rate, or remove the burst."]
    return []


def problems_of_limits(limits: Mapping[Any, Any]) -> list[str]:
    """Return one sentence for each mistake in ``limits``, the value of ``LOCO["LIMITS"]``."""
    names = [
        f"LOCO['LIMITS'] has {name!r}; a name must be 1 to 50 letters, digits, points, hyphens and underscores."
        for name in limits
        if not is_limit_name(name)
    ]
    declared = [(f"LOCO['LIMITS'][{name!r}]", given) for name, given in limits.items()]
    return names + [problem for setting, given in declared for problem in problems_of_limit(setting, given)]


def limits_of(declared: Mapping[str, Mapping[str, Any]]) -> Limits:
    """Return the limits of a valid ``LOCO["LIMITS"]``."""
    return {
        name: Limit(**{key: item for key, item in given.items() if item is not None})
        for name, given in declared.items()
    }


@lru_cache(4096)
def keys_of(limit_key: str) -> tuple[str, ...]:
    """Return the keys in the ``limit_key`` of a job."""
    return tuple(limit_key.split(" "))


@lru_cache(4096)
def name_of(key: str) -> str:
    """Return the name of the limit of a key."""
    return key.partition(":")[0]


class KeyTimes(NamedTuple):
    """The times that a store keeps for a key."""

    tat: int = 0
    """The theoretical arrival time of the next start, in microseconds since 1970 by the store's clock."""

    closed_until: int = 0
    """No job of the key begins before this time, even if its limit allows one; in the same unit."""

    closed_at: int = 0
    """When a job closed the key; 0 if a process of an older release has stored ``closed_until``."""


class Limiter:
    """Decides how many jobs of some keys may begin now, and records their starts.

    Make one for each claim, or for each list of outcomes, while no other claim decides.
    """

    def __init__(
        self,
        limits: Limits,
        now: int,
        *,
        running: Callable[[], Iterable[tuple[str, int]]],
        times: Mapping[str, KeyTimes],
    ) -> None:
        """``running`` returns limit keys with the numbers of their running jobs; it is called once, if at all."""
        self.changed: dict[str, KeyTimes] = {}
        """The keys whose times have to be stored."""
        self.next_opening: int | None = None
        """When the first key that had no room opens; ``None``: none opens by itself."""
        self._limits, self.now, self._find_running, self._times = limits, now, running, times

    def room(self, limit_key: str) -> int:
        """Return how many jobs with ``limit_key`` may begin now."""
        return min(map(self._room_of, keys_of(limit_key)))

    def has_room(self, limit_key: str) -> bool:
        """Return whether one more job may begin now. If not, update ``next_opening``."""
        if self.room(limit_key) > 0:
            return True
        opens_at = self.opens_at(limit_key)
        if opens_at is not None and (self.next_opening is None or opens_at < self.next_opening):
            self.next_opening = opens_at
        return False

    def opens_at(self, limit_key: str) -> int | None:
        """Return when a job that has no room now may begin; ``None``: as soon as another job of a key has ended."""
        return None if self.full_keys(limit_key) else max(map(self._opening_of, keys_of(limit_key)))

    def full_keys(self, limit_key: str) -> set[str]:
        """Return the keys in ``limit_key`` that have no room until another job has ended."""
        return {key for key in keys_of(limit_key) if self._is_full(key)}

    def start(self, limit_key: str, number: int = 1) -> None:
        """Record that ``number`` jobs begin."""
        for key in keys_of(limit_key):
            self._running[key] += number
            limit = self._limits.get(name_of(key))
            if limit is not None and limit.rate is not None:
                times = self.times_of(key)
                tat = max(times.tat, self.now) + number * interval_of(limit.rate)
                self.changed[key] = times._replace(tat=tat)

    def close(self, keys: Iterable[str], seconds: float) -> None:
        """Let no job of these keys begin for the next ``seconds``."""
        for key in keys:
            times = self.times_of(key)
            closed_until = self.now + round(seconds * 1e6)
            if closed_until > times.closed_until:
                self.changed[key] = times._replace(closed_until=closed_until, closed_at=self.now)

    def give_back(self, keys: Iterable[str]) -> None:
        """Give back the start of a job with these keys that was claimed, and does not begin."""
        for key in keys:
            times, limit = self.times_of(key), self._limits.get(name_of(key))
            if limit is not None and limit.rate is not None and times.tat > self.now:
                self.changed[key] = times._replace(tat=max(self.now, times.tat - interval_of(limit.rate)))

    def times_of(self, key: str) -> KeyTimes:
        """Return the times of a key. If the clock was set back, they move with it, so that no pause gets longer."""
        if key in self.changed:
            return self.changed[key]
        times, limit = self._times.get(key) or KeyTimes(), self._limits.get(name_of(key))
        if limit is not None and limit.rate is not None:
            latest = self.now + limit.burst * interval_of(limit.rate)
            if times.tat > latest:
                times = self.changed[key] = times._replace(tat=latest)
        if times.closed_at > self.now:
            closed_until = self.now + times.closed_until - times.closed_at
            times = self.changed[key] = times._replace(closed_until=closed_until, closed_at=self.now)
        return times

    @cached_property
    def _running(self) -> Counter[str]:
        running: Counter[str] = Counter()
        for limit_key, number in self._find_running():
            for key in keys_of(limit_key):
                running[key] += number
        return running

    def _room_of(self, key: str) -> int:
        times, limit = self.times_of(key), self._limits.get(name_of(key))
        if limit is None:
            return UNLIMITED
        if times.closed_until > self.now:
            return 0
        room = UNLIMITED if limit.concurrency is None else max(0, limit.concurrency - self._running[key])
        if limit.rate is not None:
            interval = interval_of(limit.rate)
            room = min(room, (limit.burst * interval - max(0, times.tat - self.now)) // interval)
        return room

    def _is_full(self, key: str) -> bool:
        limit = self._limits.get(name_of(key))
        return limit is not None and limit.concurrency is not None and self._running[key] >= limit.concurrency

    def _opening_of(self, key: str) -> int:
        times, limit = self.times_of(key), self._limits.get(name_of(key))
        if limit is None:
            return self.now
        if limit.rate is None:
            return times.closed_until
        return max(times.closed_until, times.tat - (limit.burst - 1) * interval_of(limit.rate))
