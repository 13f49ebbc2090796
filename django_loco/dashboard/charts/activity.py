"""Adds up the statistics of minutes to the bars of the chart, the lines of the queues, and percentiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest

from ...jobs.page_parts.scope import Scope
from ...jobs.stores import queue_of
from ...log.plain_text import one_line
from ...metrics.arrivals import ENQUEUED
from ...metrics.tally import FAILURE, SUCCESS
from ...queues.records.minutes import BOUNDS, HOUR, Minute
from ...queues.workers import WorkerInfo

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Range:
    """A period that the chart can show."""

    name: str
    bars: int
    minutes: int
    """The minutes of one bar."""

    kept_seconds: float
    """How long a process keeps the sums. A long range has many rows to read, and they change once a minute."""

    @property
    def is_of_days(self) -> bool:
        """Whether the period is longer than a day, so that its times need a date."""
        return self.bars * self.minutes > DAY_MINUTES

    @property
    def is_by_hours(self) -> bool:
        """Whether each bar covers whole hours, so that the hourly sums are enough."""
        return self.minutes % HOUR == 0

    def first(self, now: int) -> int:
        """Return the first minute of the chart if ``now`` is the present minute (minutes since 1970)."""
        return (now // self.minutes - self.bars + 1) * self.minutes


DAY_MINUTES = 24 * 60
RANGES = {
    each.name: each
    for each in (
        Range("5m", 5, 1, 5.0),
        Range("1h", 60, 1, 5.0),
        Range("6h", 72, 5, 15.0),
        Range("1d", 24, HOUR, 60.0),
        Range("7d", 84, 2 * HOUR, 300.0),
        Range("14d", 84, 4 * HOUR, 300.0),
    )
}
DEFAULT = "1h"


def range_of(request: HttpRequest) -> Range:
    """Return the range that an address asks for, or the hour if there is no such range."""
    return RANGES.get(request.GET.get("range", DEFAULT), RANGES[DEFAULT])


@dataclass(slots=True)
class Bar:
    """The counts in the minutes of one bar."""

    at: datetime
    succeeded: int = 0
    failed: int = 0
    other: int = 0
    """Retried, interrupted, lost and cancelled runs."""

    @property
    def runs(self) -> int:
        """How many runs ended."""
        return self.succeeded + self.failed + self.other


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile of the times that jobs waited and ran, in seconds; ``None``: there are no runs."""

    percent: int
    wait: float | None
    run: float | None


@dataclass(frozen=True, slots=True)
class Activity:
    """The counts in a range of time."""

    bars: Sequence[Bar]
    lines: Mapping[tuple[str, str], Sequence[int]]
    """The numbers of jobs enqueued in the time of each bar, by alias and name of the queue."""

    percentiles: Sequence[Percentile]


def minutes_in(chosen: Range, aliases: Sequence[str], now: int, scope: Scope) -> dict[str, Sequence[Minute]]:
    """Return the statistics of each alias in a range that ends with the minute ``now``, by hours if that is enough.

    Only jobs of ``scope`` count.

    Raises ``QueueError``.
    """
    first = chosen.first(now)
    return {
        alias: scope.minutes(
            alias,
            queue_of(alias).hours(first, chosen.minutes // HOUR)
            if chosen.is_by_hours
            else queue_of(alias).minutes(first),
        )
        for alias in aliases
    }


def minutes_since(first: int, aliases: Sequence[str], scope: Scope) -> dict[str, Sequence[Minute]]:
    """Return the statistics of each alias from the minute ``first`` on. Only jobs of ``scope`` count."""
    return {alias: scope.minutes(alias, queue_of(alias).minutes(first)) for alias in aliases}


def releases(workers: Iterable[WorkerInfo]) -> list[tuple[datetime, str]]:
    """Return the releases that ``workers`` run, each with the time when its first worker started."""
    first: dict[str, datetime] = {}
    for each in workers:
        if each.release:
            first[each.release] = min(each.started_at, first.get(each.release, each.started_at))
    return [(at, one_line(name)) for name, at in first.items()]


def activity_of(minutes: Mapping[str, Sequence[Minute]], chosen: Range, now: int) -> Activity:
    """Return the sums of ``minutes``, the statistics of each alias, up to the minute ``now``."""
    of_all = [each for of_alias in minutes.values() for each in of_alias if each.labels.minute >= chosen.first(now)]
    lines = {
        (alias, name): line
        for alias, of_alias in minutes.items()
        for name, line in enqueued_by_queue(of_alias, chosen, now).items()
    }
    return Activity(bars_of(of_all, chosen, now), lines, percentiles_of(of_all))


def bars_of(minutes: Sequence[Minute], chosen: Range, now: int) -> list[Bar]:
    """Return the bars of the chart, the oldest first, including bars without a run."""
    first = chosen.first(now)
    bars = [Bar(datetime.fromtimestamp((first + place * chosen.minutes) * 60, UTC)) for place in range(chosen.bars)]
    for each in minutes:
        place = (each.labels.minute - first) // chosen.minutes
        if each.labels.outcome == ENQUEUED or not 0 <= place < chosen.bars:
            continue
        if each.labels.outcome == SUCCESS:
            bars[place].succeeded += each.runs
        elif each.labels.outcome == FAILURE:
            bars[place].failed += each.runs
        else:
            bars[place].other += each.runs
    return bars


def enqueued_by_queue(minutes: Sequence[Minute], chosen: Range, now: int) -> dict[str, list[int]]:
    """Return for each queue how many jobs were enqueued in the time of each bar."""
    first = chosen.first(now)
    found: dict[str, list[int]] = defaultdict(lambda: [0] * chosen.bars)
    for each in minutes:
        place = (each.labels.minute - first) // chosen.minutes
        if each.labels.outcome == ENQUEUED and 0 <= place < chosen.bars:
            found[each.labels.queue_name][place] += each.runs
    return dict(found)


def percentiles_of(minutes: Sequence[Minute]) -> list[Percentile]:
    """Return percentiles of how long jobs waited and ran."""
    runs = [each for each in minutes if each.labels.outcome != ENQUEUED]
    waits, durations = _total([each.waits for each in runs]), _total([each.durations for each in runs])
    return [Percentile(percent, quantile(waits, percent), quantile(durations, percent)) for percent in PERCENTILES]


def quantile(up_to: Sequence[int], percent: int) -> float | None:
    """Return the estimate of a percentile in seconds. The runs in a bucket are assumed to be spread evenly over it.

    ``up_to`` has the number of runs up to each of ``BOUNDS``, and then of all runs. If the percentile is above the last
    bound, this bound is returned.
    """
    if not up_to or not up_to[-1]:
        return None
    wanted = up_to[-1] * percent / 100
    below, lower = 0, 0.0
    for bound, count in zip(BOUNDS, up_to, strict=False):
        if count >= wanted:
            return lower + (bound - lower) * (wanted - below) / (count - below)
        below, lower = count, bound
    return BOUNDS[-1]


def _total(histograms: Sequence[Sequence[int]]) -> list[int]:
    return [sum(counts) for counts in zip(*histograms, strict=True)]
