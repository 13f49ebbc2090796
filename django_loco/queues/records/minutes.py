"""Statistics of jobs: how many runs ended in a minute, and how long they took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from operator import add
from typing import Final, NamedTuple

#: The upper bounds of the buckets in seconds, inclusive. The last bucket, which has none, is for everything above.
BOUNDS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
BUCKETS: Final = len(BOUNDS) + 1
#: The names of the numbers of a minute, in their order. Those in ``MICROS`` are microseconds, the others are counts.
NUMBERS: Final = (
    "count",
    "duration_micros",
    "wait_micros",
    *(f"duration_{bucket}" for bucket in range(BUCKETS)),
    *(f"wait_{bucket}" for bucket in range(BUCKETS)),
)
MICROS: Final = frozenset({"duration_micros", "wait_micros"})
#: The places of the first bucket of each histogram.
DURATION, WAIT = NUMBERS.index("duration_0"), NUMBERS.index("wait_0")
#: How long minutes are kept, and totals after the last run that they count: 14 days.
KEPT_MINUTES: Final = 14 * 24 * 60
#: The minute of a total, which counts all runs with the same other labels.
TOTAL: Final = 0
#: The minutes of an hour.
HOUR: Final = 60


def minute_of(seconds: float) -> int:
    """Return the minute of a time in seconds since 1970."""
    return int(seconds) // 60


class Labels(NamedTuple):
    """Runs with the same labels are counted together."""

    minute: int
    """The minutes since 1970, in UTC; ``TOTAL``: all minutes."""

    queue_name: str
    task_path: str
    outcome: str
    """A word of ``django_loco.metrics.tally``: ``"successful"``, ``"failed"`` ..."""


class Minute(NamedTuple):
    """The runs with the same labels, of one process or of all."""

    labels: Labels
    numbers: Sequence[int]
    """See ``NUMBERS``."""

    @property
    def runs(self) -> int:
        """How many runs ended."""
        return self.numbers[0]

    @property
    def duration_seconds(self) -> float:
        """How long they took together."""
        return self.numbers[1] / 1e6

    @property
    def wait_seconds(self) -> float:
        """How long their jobs had waited, from when they were due, together."""
        return self.numbers[2] / 1e6

    @property
    def durations(self) -> tuple[int, ...]:
        """How many took at most as long as each of ``BOUNDS``; the last number has no bound.

        The last number counts the runs of known duration. It may be below ``runs``: a lost run has no known duration.
        """
        return tuple(accumulate(self.numbers[DURATION : DURATION + BUCKETS]))

    @property
    def waits(self) -> tuple[int, ...]:
        """As ``durations``, for the times for which the jobs had waited."""
        return tuple(accumulate(self.numbers[WAIT : WAIT + BUCKETS]))

    def plus(self, other: Sequence[int]) -> Minute:
        """Return this minute with more runs of the same labels."""
        return Minute(self.labels, tuple(map(add, self.numbers, other)))


def summed(minutes: Iterable[Minute], relabelled: Callable[[Labels], Labels]) -> list[Minute]:
    """Return the sums of the minutes that have the same labels after ``relabelled``."""
    sums: dict[Labels, Minute] = {}
    for each in minutes:
        labels = relabelled(each.labels)
        known = sums.get(labels)
        sums[labels] = Minute(labels, each.numbers) if known is None else known.plus(each.numbers)
    return list(sums.values())


def totals_of(minutes: Sequence[Minute]) -> list[tuple[Minute, int]]:
    """Return the sums of ``minutes`` over time, each with the last minute that it contains."""
    last: dict[Labels, int] = {}
    for each in minutes:
        labels = total_labels(each.labels)
        last[labels] = max(each.labels.minute, last.get(labels, TOTAL))
    return [(total, last[total.labels]) for total in summed(minutes, total_labels)]


def hours_of(minutes: Iterable[Minute], every: int = 1) -> list[Minute]:
    """Return the sums of ``minutes`` over ``every`` hours, with the first minute of these, the oldest first."""
    length = every * HOUR
    return sorted(summed(minutes, lambda labels: labels._replace(minute=labels.minute // length * length)))


def total_labels(labels: Labels) -> Labels:
    """Return the labels of the total that a minute with ``labels`` belongs to."""
    return labels._replace(minute=TOTAL)


class Statistics:
    """The methods of a queue for statistics. By default it keeps none."""

    def record(self, minutes: Sequence[Minute]) -> None:
        """Add to the statistics of these minutes. ``prune`` deletes minutes that are older than ``KEPT_MINUTES``.

        Adds to the totals and hours as well. Must add atomically, because many processes add to the same minutes. Is
        not called again after an error. A queue that keeps no statistics does nothing.
        """

    def minutes(self, since: int) -> Sequence[Minute]:  # noqa: ARG002
        """Return the statistics from the minute ``since`` (minutes since 1970, UTC) on, the oldest first."""
        return ()

    def hours(self, since: int, every: int = 1) -> Sequence[Minute]:
        """Return the sums of each hour from the hour of the minute ``since`` on, the oldest first.

        Each sum is of ``every`` hours, counted from 1970 in UTC, and has the first minute of these hours. A page reads
        the sums of two weeks at a time, so hours should be kept as sums. By default the minutes are summed.
        """
        return hours_of(self.minutes(since // HOUR * HOUR), every)

    def totals(self) -> Sequence[Minute]:
        """Return the sums of all that was recorded, with ``TOTAL`` as their minute. They never decrease.

        ``prune`` deletes a total ``KEPT_MINUTES`` after the last run that it counts, so that names which are no longer
        used do not accumulate.
        """
        return ()
