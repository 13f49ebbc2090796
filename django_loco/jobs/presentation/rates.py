"""How many jobs come and go per minute, from the statistics that all processes write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.job import utcnow
from ...metrics.arrivals import ENQUEUED
from ...metrics.tally import CANCELLED, FAILURE, SUCCESS
from ...queues.records.minutes import Minute, minute_of
from ..stores import queue_of, searched

#: Failures are counted over the first number of minutes. Rates are averaged over the second.
FAILED_MINUTES, RATE_MINUTES = 60, 10
#: Processes write once a minute. So not all of them have written the last full minute yet.
WRITTEN_AFTER_MINUTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRates:
    """The numbers of jobs that have come and gone in one queue. Counts of the last minute or two may be missing."""

    enqueued_per_minute: float = 0.0
    """On average over ten minutes, or over all minutes since the first counted one."""

    ended_per_minute: float = 0.0
    """Jobs that have succeeded, failed or were cancelled by a worker, on average over these minutes."""

    failed_last_hour: int = 0


#: The rates of a queue without jobs.
NONE = QueueRates()


def rates(*, backend: str | None = None) -> dict[tuple[str, str], QueueRates]:
    """Return the rates of each queue that had jobs in the last hour, by its alias in ``TASKS`` and its name.

    Raises ``ValueError`` if ``backend`` is not an alias of django-loco, and ``QueueUnavailable``.
    """
    now = minute_of(utcnow().timestamp())
    return {
        (alias, name): rate
        for alias in searched(backend)
        for name, rate in rates_in(queue_of(alias).minutes(now - FAILED_MINUTES), now).items()
    }


def rates_in(minutes: Sequence[Minute], now: int) -> dict[str, QueueRates]:
    """Return the rates of each queue of an alias, from its ``minutes`` in the hour before the minute ``now``."""
    by_queue: dict[str, list[Minute]] = {}
    for minute in minutes:
        if minute.labels.minute >= now - FAILED_MINUTES:
            by_queue.setdefault(minute.labels.queue_name, []).append(minute)
    averaged = _averaged(min((each.labels.minute for of in by_queue.values() for each in of), default=now), now)
    return {name: _rates(of_queue, averaged) for name, of_queue in by_queue.items()}


def _averaged(first: int, now: int) -> range:
    """Return the minutes that rates are averaged over, if ``first`` is the first counted one."""
    until = now - WRITTEN_AFTER_MINUTES
    if first > until:  # the store has no others
        return range(first, max(first, now) + 1)
    return range(max(first, until - RATE_MINUTES + 1), until + 1)


def _rates(minutes: Sequence[Minute], averaged: range) -> QueueRates:
    found = [each for each in minutes if each.labels.minute in averaged]
    return QueueRates(
        enqueued_per_minute=_sum(found, ENQUEUED) / len(averaged),
        ended_per_minute=_sum(found, SUCCESS, FAILURE, CANCELLED) / len(averaged),
        failed_last_hour=_sum(minutes, FAILURE),
    )


def _sum(minutes: Sequence[Minute], *outcomes: str) -> int:
    return sum(each.runs for each in minutes if each.labels.outcome in outcomes)
