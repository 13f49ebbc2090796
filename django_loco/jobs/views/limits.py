"""Limits, how they are used, and which of them are in the way of a job."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from ...core.job.limits import KeyTimes, Ledger, Limit, Limits, keys_of, name_of
from ...queues import Queue
from ...queues.claim import declared_limits
from ...queues.records.limits import LimitUse, time_of_micros
from ..stores import queue_of, searched
from .numbers import number_text


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
    """The keys with jobs that are due of which none may begin now."""

    opens_at: datetime | None
    """When the first of these opens; ``None``: when one of its jobs has ended, or if there are none."""


def limits(*, backend: str | None = None) -> list[LimitState]:
    """Return the limits, by alias and name.

    Raises ``QueueUnavailable`` if a store does not answer.
    """
    return [state for alias in searched(backend) for state in _states(alias, queue_of(alias))]


def limits_in(queue: Queue) -> Limits:
    """Return the limits that count in ``queue``: those that people have changed, and others as they are declared."""
    return {**declared_limits(), **queue.changed_limits()}


def seconds_until_open(queue: Queue, limit_keys: Collection[str]) -> Mapping[str, float]:
    """Return in how many seconds a job of each limit key may begin; 0 if one may now, or when another has ended."""
    use = queue.limit_use({key for limit_key in limit_keys for key in keys_of(limit_key)})
    ledger = _ledger(limits_in(queue), use)
    return {limit_key: max(0.0, ((ledger.opens_at(limit_key) or use.now) - use.now) / 1e6) for limit_key in limit_keys}


def _states(alias: str, queue: Queue) -> Iterator[LimitState]:
    if not declared_limits():
        return  # and ask nothing
    known, changed, use = limits_in(queue), queue.changed_limits(), queue.limit_use()
    ledger = _ledger(known, use)
    for name, limit in sorted(known.items()):
        waiting = {key: number for key, number in use.waiting.items() if _is_of(name, key)}
        closed = [key for key in waiting if ledger.room(key) <= 0]
        openings = filter(None, map(ledger.opens_at, closed))
        yield LimitState(
            backend=alias,
            name=name,
            concurrency=limit.concurrency,
            rate=limit.rate,
            burst=limit.burst,
            is_changed=name in changed,
            waiting=sum(waiting.values()),
            running=sum(number for key, number in use.running.items() if _is_of(name, key)),
            closed=len(closed),
            opens_at=min(map(time_of_micros, openings), default=None),
        )


def _is_of(name: str, limit_key: str) -> bool:
    return any(name_of(key) == name for key in keys_of(limit_key))


def _ledger(known: Limits, use: LimitUse) -> Ledger:
    return Ledger(known, use.now, running=use.running.items, times=use.times)


def sentences(limit_key: str, queue: Queue) -> Iterator[str]:
    """Yield a sentence or two for each limit for which a job with this limit key has to wait now."""
    keys = keys_of(limit_key)
    use, known = queue.limit_use(keys), limits_in(queue)
    ledger = _ledger(known, use)
    for key in keys:
        if ledger.room(key) <= 0:
            times, limit = use.times.get(key, KeyTimes()), known.get(name_of(key), Limit())
            waits = _("It waits for the limit %(key)s.") % {"key": repr(key)}
            yield f"{waits} {_reason(limit, times, ledger.opens_at(key), use.now)}"


def _reason(limit: Limit, times: KeyTimes, opens_at: int | None, now: int) -> str:
    if opens_at is None:
        text = _("As many of its jobs run as may at once: %(number)s.")
        return text % {"number": number_text(limit.concurrency or 0)}
    seconds = number_text(max(1, round((opens_at - now) / 1e6)))
    if times.closed_until >= opens_at:
        return _("A job has closed it for %(seconds)s s more.") % {"seconds": seconds}
    text = _("Its rate is %(rate)s, and the next job may begin in %(seconds)s s.")
    return text % {"rate": limit.rate, "seconds": seconds}
