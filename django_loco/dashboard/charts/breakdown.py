"""Adds up the statistics of a range by task, or by queue and task, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add
from typing import TypeVar

from ...metrics.arrivals import ENQUEUED
from ...metrics.tally import FAILURE, SUCCESS
from ...queues.records.minutes import BUCKETS, DURATION, WAIT, Labels, Minute
from .activity import Range, quantile

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Sums:
    """What happened to a group of jobs in a range of time, in numbers."""

    bars: int
    """How many bars a chart of the range has."""

    enqueued: int = 0
    succeeded: int = 0
    failed: int = 0
    other: int = 0
    """Retried, interrupted, lost, cancelled and other runs."""

    ended_by_bar: list[int] = field(default_factory=list)
    """The runs that ended in the time of each bar, including failed ones."""

    failed_by_bar: list[int] = field(default_factory=list)
    _waits: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    _durations: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def __post_init__(self) -> None:
        self.ended_by_bar, self.failed_by_bar = [0] * self.bars, [0] * self.bars

    @property
    def runs(self) -> int:
        """How many runs ended."""
        return self.succeeded + self.failed + self.other

    @property
    def failure_rate(self) -> float | None:
        """The share of failed runs among the runs that ended a job, from 0 to 1; ``None`` if no job ended."""
        ended = self.succeeded + self.failed
        return self.failed / ended if ended else None

    def wait(self, percent: int) -> float | None:
        """Return an estimated percentile of the seconds that jobs waited; ``None`` without runs."""
        return quantile([*accumulate(self._waits)], percent)

    def duration(self, percent: int) -> float | None:
        """Return an estimated percentile of the seconds that runs took."""
        return quantile([*accumulate(self._durations)], percent)

    def count(self, minute: Minute, bar: int) -> None:
        """Add a row of the statistics, which belongs to the bar with the index ``bar``."""
        outcome = minute.labels.outcome
        if outcome == ENQUEUED:
            self.enqueued += minute.runs
            return
        self._waits = [*map(add, self._waits, minute.numbers[WAIT : WAIT + BUCKETS])]
        self._durations = [*map(add, self._durations, minute.numbers[DURATION : DURATION + BUCKETS])]
        self.ended_by_bar[bar] += minute.runs
        if outcome == SUCCESS:
            self.succeeded += minute.runs
        elif outcome == FAILURE:
            self.failed += minute.runs
            self.failed_by_bar[bar] += minute.runs
        else:
            self.other += minute.runs

    def plus(self, other: Sums) -> Sums:
        """Return the sums of both. They must be of the same range."""
        lists = (
            [*map(add, mine, others)]
            for mine, others in (
                (self.ended_by_bar, other.ended_by_bar),
                (self.failed_by_bar, other.failed_by_bar),
                (self._waits, other._waits),
                (self._durations, other._durations),
            )
        )
        both = Sums(
            self.bars,
            self.enqueued + other.enqueued,
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.other + other.other,
        )
        both.ended_by_bar, both.failed_by_bar, both._waits, both._durations = lists
        return both


def by_key(
    minutes: Mapping[str, Iterable[Minute]], chosen: Range, now: int, key: Callable[[str, Labels], Key]
) -> dict[Key, Sums]:
    """Return the sums of ``minutes``, the statistics of each alias. ``key`` groups them by alias and labels.

    Minutes outside of the range, which ends with the minute ``now``, are left out.
    """
    first = chosen.first(now)
    found: dict[Key, Sums] = {}
    for alias, of_alias in minutes.items():
        for each in of_alias:
            place = (each.labels.minute - first) // chosen.minutes
            if 0 <= place < chosen.bars:
                name = key(alias, each.labels)
                sums = found.get(name)
                if sums is None:
                    sums = found[name] = Sums(chosen.bars)
                sums.count(each, place)
    return found


def most(found: Mapping[Key, Sums], wanted: Callable[[Sums], float], number: int) -> Sequence[tuple[Key, Sums]]:
    """Return the ``number`` entries with the highest ``wanted``, the highest first."""
    return sorted(found.items(), key=lambda each: -wanted(each[1]))[:number]
