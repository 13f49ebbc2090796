"""Cron expressions on the wall clock of a time zone, also across changes of daylight saving time.

croniter is used for wall clock times only. With a zone, it would fire twice if a time of the day comes twice.

When the clocks change
----------------------
With a change of an hour as the example:

* A time of the day that is skipped (02:30 when 02:00 becomes 03:00) runs once, at the first minute that exists.
* A time of the day that comes twice (01:30 when 02:00 becomes 01:00) runs once, the first time.
* An expression that also fires in the hour before and in the hour after is a rhythm and keeps it:
  ``*/15 * * * *`` fires every 15 minutes of real time, in both of the repeated hours and with nothing extra for the
  skipped one.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from .cron_in_words import words_of
from .cron_parser import ParsedCron, parse
from .trigger import SECOND


class _ClockChange(NamedTuple):
    """A moment at which the clocks are put forward or back."""

    at: datetime
    """When it happens, in UTC."""

    start: datetime
    """The first wall clock time that is skipped, or comes twice."""

    length: timedelta
    """How far the clocks are moved. The time that is skipped or repeated has the same length."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields, six or seven (or a name such as ``@daily``) on the wall clock of ``zone``.

    With six fields the first is the second, with seven the last is the year. The fields are those of crontab(5): days
    of the month and of the week are alternatives unless one of these fields starts with ``*``. In addition there are
    croniter's ``L`` (last), ``#`` (nth weekday) and ``W`` (nearest weekday).
    Raises ``LocoConfigurationError`` for an expression that cannot be parsed or never fires.
    """

    expression: str
    zone: tzinfo
    _parsed: ParsedCron = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parsed", parse(self.expression))

    def __str__(self) -> str:
        return self.expression

    @property
    def words(self) -> str:
        """The expression in English."""
        return words_of(self._parsed.fields)

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first tick after ``moment``, in UTC; ``None`` if there is none within 50 years.

        If the expression has a year: ``None`` if there is no later tick at all.
        """
        tick = self._next_in_order(moment)
        if tick is None:
            return None
        put_back = self._offset(moment) - self._offset(tick)
        return (self._next_repeated(moment, tick, put_back) if put_back > timedelta(0) else None) or tick

    def _next_in_order(self, moment: datetime) -> datetime | None:
        """Return the first tick after ``moment`` whose wall clock time has not occurred before ``moment``."""
        wall = self._parsed.next_after(self._wall(moment))
        while wall is not None:
            ticks = self._ticks(wall)
            for tick in ticks:
                if tick > moment:
                    return tick
            wall = self._parsed.next_after(wall if ticks else self._end_of_skipped(wall))
        return None

    def _next_repeated(self, moment: datetime, end: datetime, put_back: timedelta) -> datetime | None:
        """Return the first tick from ``moment`` to ``end`` whose wall clock time also occurred before ``moment``."""
        wall = self._parsed.next_after(self._wall(moment) - put_back)
        while wall is not None and wall < self._wall(end):
            for tick in self._ticks(wall)[1:]:
                if moment < tick < end:
                    return tick
            wall = self._parsed.next_after(wall)
        return None

    def _ticks(self, wall: datetime) -> tuple[datetime, ...]:
        """Return the ticks for a wall clock time: usually one, but two or none for a rhythm when the clocks change."""
        before, after = self._offsets(wall)
        first, second = ((wall - offset).replace(tzinfo=UTC) for offset in (before, after))
        if before == after:
            return (first,)
        change = self._change(wall, before, after)
        comes_twice = before > after
        if self._is_rhythm(change):
            return (first, second) if comes_twice else ()
        return (first,) if comes_twice else (change.at,)

    def _end_of_skipped(self, wall: datetime) -> datetime:
        """Return the last wall clock time that is skipped together with ``wall``."""
        change = self._change(wall, *self._offsets(wall))
        return change.start + change.length - timedelta.resolution

    def _offsets(self, wall: datetime) -> tuple[timedelta, timedelta]:
        """Return the offsets before and after the change that skips or repeats ``wall``; equal if there is none."""
        first, second = (_offset(wall.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1))
        return first, second

    def _change(self, wall: datetime, before: timedelta, after: timedelta) -> _ClockChange:
        """Return the change of the clocks that skips or repeats ``wall``."""
        low, high = sorted((before, after))
        start = (wall - high).replace(tzinfo=UTC)
        seconds = range(round((high - low) / SECOND))
        past = bisect_left(seconds, True, key=lambda second: self._offset(start + second * SECOND) != before)
        at = start + past * SECOND
        return _ClockChange(at, start=at.replace(tzinfo=None) + low, length=high - low)

    def _is_rhythm(self, change: _ClockChange) -> bool:
        """Return whether the expression also fires just before and just after the skipped or repeated time."""
        end = change.start + change.length
        return self._fires(change.start - change.length, change.start) and self._fires(end, end + change.length)

    def _fires(self, start: datetime, end: datetime) -> bool:
        wall = self._parsed.next_after(start - timedelta.resolution)
        return wall is not None and wall < end

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def _offset(self, moment: datetime) -> timedelta:
        return _offset(moment.astimezone(self.zone))


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)
