"""The limits and how they are used, over all aliases of ``TASKS`` of django-loco."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest

from ...core.job.clock import time_of_micros
from ...core.job.limits import KeyTimes, Limit, Limiter, Limits, interval_of, keys_of, name_of
from ...queues import Queue
from ...queues.claim import declared_limits
from ...queues.records.limits import LimitUse
from ..stores import queue_of, searched


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """A key of a limit, and how it is used. Each key is limited by itself."""

    key: str
    running: int
    waiting: int
    """The jobs that are due."""

    used: int
    """How many of the ``burst`` starts are used up; 0 for a limit without a rate."""

    is_closed: bool
    """Whether no job of the key may begin now."""

    opens_at: datetime | None
    """When the next job may begin, if the key is closed; ``None``: as soon as a running job has ended."""

    throttled_until: datetime | None
    """Until when a job has closed it, by raising ``Throttled``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitState:
    """A limit, and how it is used in an alias of ``TASKS``."""

    backend: str
    name: str
    concurrency: int | None
    rate: str | None
    burst: int
    is_changed: bool
    """Whether ``set_limit`` has changed it. If not, it is as ``LOCO["LIMITS"]`` declares it."""

    waiting: int
    """The jobs that are due."""

    running: int
    closed: int
    """The number of limit keys with due jobs, none of which may begin now."""

    opens_at: datetime | None
    """When the first of these keys opens; ``None``: when a running job has ended, or no key is closed."""

    oldest_due: datetime | None = None
    """Since when the oldest of the waiting jobs is due."""

    number_of_keys: int = 0
    """The number of keys that have jobs that run or are due, have used up starts of a rate, or were closed by a job."""

    keys: Sequence[KeyState] = ()
    """Some of these keys, the ones with the most waiting jobs first, if ``limits`` was asked for them."""


def limits(*, backend: str | None = None, keys: int = 0) -> list[LimitState]:
    """Return the limits, by alias and name, each with as many of its keys as ``keys`` says.

    Raises ``QueueUnavailable`` if a store does not answer.
    """
    return [state for alias in searched(backend) for state in _states(alias, queue_of(alias), keys)]


def limits_in(queue: Queue) -> Limits:
    """Return the limits in force in ``queue``: as people have changed them, or else as they are declared."""
    return {**declared_limits(), **queue.changed_limits()}


def seconds_until_open(queue: Queue, limit_keys: Collection[str]) -> Mapping[str, float]:
    """Return in how many seconds a job of each limit key may begin; 0: now, or as soon as another job has ended."""
    use = queue.limit_use({key for limit_key in limit_keys for key in keys_of(limit_key)})
    limiter = limiter_of(limits_in(queue), use)
    return {limit_key: max(0.0, ((limiter.opens_at(limit_key) or use.now) - use.now) / 1e6) for limit_key in limit_keys}


def _states(alias: str, queue: Queue, most: int) -> Iterator[LimitState]:
    if not declared_limits():
        return  # and ask nothing
    changed, use = queue.changed_limits(), queue.limit_use()
    known = {**declared_limits(), **changed}
    limiter = limiter_of(known, use)
    by_limit = _by_limit(use)
    none = _LimitKeys()
    for name, limit in sorted(known.items()):
        found = by_limit.get(name, none)
        closed = [limit_key for limit_key in found.waiting if limiter.room(limit_key) <= 0]
        openings = filter(None, map(limiter.opens_at, closed))
        yield LimitState(
            backend=alias,
            name=name,
            concurrency=limit.concurrency,
            rate=limit.rate,
            burst=limit.burst,
            is_changed=name in changed,
            waiting=sum(found.waiting.values()),
            running=sum(found.running.values()),
            closed=len(closed),
            opens_at=min(map(time_of_micros, openings), default=None),
            oldest_due=min((use.oldest[key] for key in found.waiting if key in use.oldest), default=None),
            number_of_keys=len(found.keys),
            keys=[*_keys(found, limit, limiter, use, most)] if most else (),
        )


class _LimitKeys:
    """The limit keys of jobs that obey one limit, each with the number of its jobs; and the limit's keys in them."""

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self.running: dict[str, int] = {}
        self.keys: set[str] = set()
        """Also keys without jobs that have only times."""


def _by_limit(use: LimitUse) -> Mapping[str, _LimitKeys]:
    found: defaultdict[str, _LimitKeys] = defaultdict(_LimitKeys)
    for kind, numbers in (("waiting", use.waiting), ("running", use.running)):
        for limit_key, number in numbers.items():
            for key in keys_of(limit_key):
                of_limit = found[name_of(key)]
                getattr(of_limit, kind)[limit_key] = number
                of_limit.keys.add(key)
    for key, times in use.times.items():
        if max(times) > use.now:
            found[name_of(key)].keys.add(key)
    return found


def _keys(found: _LimitKeys, limit: Limit, limiter: Limiter, use: LimitUse, most: int) -> Iterator[KeyState]:
    """Yield the states of up to ``most`` keys: by the number of waiting, then of running jobs."""
    waiting, running = _by_key(found.waiting), _by_key(found.running)
    for key in nlargest(most, found.keys, key=lambda key: (waiting[key], running[key], key)):
        times = limiter.times_of(key)
        opens_at = limiter.opens_at(key) if (is_closed := limiter.room(key) <= 0) else None
        yield KeyState(
            key=key,
            running=running[key],
            waiting=waiting[key],
            used=_used(limit, times, use.now),
            is_closed=is_closed,
            opens_at=None if opens_at is None else time_of_micros(opens_at),
            throttled_until=time_of_micros(times.closed_until) if times.closed_until > use.now else None,
        )


def _by_key(numbers: Mapping[str, int]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for limit_key, number in numbers.items():
        for key in keys_of(limit_key):
            counts[key] += number
    return counts


def _used(limit: Limit, times: KeyTimes, now: int) -> int:
    """Return how many of the starts of a burst are used up: one comes back with each interval."""
    if limit.rate is None:
        return 0
    return min(limit.burst, -(-max(0, times.tat - now) // interval_of(limit.rate)))


def limiter_of(known: Limits, use: LimitUse) -> Limiter:
    """Return what decides with the limits ``known``, used as ``use`` says, which jobs may begin."""
    return Limiter(known, use.now, running=use.running.items, times=use.times)
