"""Adds up the statistics of minutes: the bars of the chart, the lines of the queues, and percentiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..metrics.arrivals import ENQUEUED
from ..metrics.tally import FAILURE, LOST, SUCCESS
from ..queues.records.minutes import BOUNDS, Minute

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Range:
    """A time for which the chart is drawn."""

    name: str
    bars: int
    minutes: int
    """The minutes of one bar."""

    kept_seconds: float
    """How long the sums are kept in a process: statistics are written once a minute, and a day has many."""

    def first(self, now: int) -> int:
        """Return the first minute of the chart, if ``now`` is the present one (minutes since 1970)."""
        return (now // self.minutes - self.bars + 1) * self.minutes


RANGES = {"1h": Range("1h", 60, 1, 5.0), "24h": Range("24h", 96, 15, 60.0)}
DEFAULT = "1h"


@dataclass(slots=True)
class Bar:
    """What happened in the minutes of one bar."""

    at: datetime
    succeeded: int = 0
    failed: int = 0
    """Failed and lost runs."""

    other: int = 0
    """Retried, interrupted and cancelled runs."""

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
    """What happened in a range of time."""

    bars: Sequence[Bar]
    lines: Mapping[tuple[str, str], Sequence[int]]
    """The jobs that were enqueued in the minutes of each bar, by alias and name of the queue."""

    percentiles: Sequence[Percentile]


def activity_of(minutes: Mapping[str, Sequence[Minute]], chosen: Range, now: int) -> Activity:
    """Return the sums of ``minutes``, which are those of each alias, up to the minute ``now``."""
    of_all = [each for of_alias in minutes.values() for each in of_alias if each.labels.minute >= chosen.first(now)]
    lines = {
        (alias, name): line
        for alias, of_alias in minutes.items()
        for name, line in enqueued_by_queue(of_alias, chosen, now).items()
    }
    return Activity(bars_of(of_all, chosen, now), lines, percentiles_of(of_all))


def bars_of(minutes: Sequence[Minute], chosen: Range, now: int) -> list[Bar]:
    """Return the bars of the chart, the oldest first, also those without a run."""
    first = chosen.first(now)
    bars = [Bar(datetime.fromtimestamp((first + place * chosen.minutes) * 60, UTC)) for place in range(chosen.bars)]
    for each in minutes:
        place = (each.labels.minute - first) // chosen.minutes
        if each.labels.outcome == ENQUEUED or not 0 <= place < chosen.bars:
            continue
        if each.labels.outcome == SUCCESS:
            bars[place].succeeded += each.runs
        elif each.labels.outcome in (FAILURE, LOST):
            bars[place].failed += each.runs
        else:
            bars[place].other += each.runs
    return bars


def enqueued_by_queue(minutes: Sequence[Minute], chosen: Range, now: int) -> dict[str, list[int]]:
    """Return for each queue how many jobs were enqueued in the minutes of each bar."""
    first = chosen.first(now)
    found: dict[str, list[int]] = defaultdict(lambda: [0] * chosen.bars)
    for each in minutes:
        place = (each.labels.minute - first) // chosen.minutes
        if each.labels.outcome == ENQUEUED and 0 <= place < chosen.bars:
            found[each.labels.queue_name][place] += each.runs
    return dict(found)


def percentiles_of(minutes: Sequence[Minute]) -> list[Percentile]:
    """Return about how long jobs waited and ran."""
    runs = [each for each in minutes if each.labels.outcome != ENQUEUED]
    waits, durations = _total([each.waits for each in runs]), _total([each.durations for each in runs])
    return [Percentile(percent, quantile(waits, percent), quantile(durations, percent)) for percent in PERCENTILES]


def quantile(up_to: Sequence[int], percent: int) -> float | None:
    """Return a percentile in seconds, estimated: the runs of a bucket are taken as spread evenly over it.

    ``up_to`` counts the runs up to each of ``BOUNDS``, and all. Above the last bound it returns that bound.
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
