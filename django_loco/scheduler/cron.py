"""Cron expressions on the wall clock of a zone, and what they mean when that clock is changed.

croniter (version 7) parses an expression and is asked for wall clock times only. Given a zone it would fire a time
of the day that comes twice both times.

When the clocks change
----------------------
With a change of an hour as the example:

* A time of the day that is skipped (02:30 when 02:00 becomes 03:00) runs once, at the first minute that exists.
* A time of the day that comes twice (01:30 when 02:00 becomes 01:00) runs once, the first time.
* An expression that also fires in the hour before and in the hour after is meant as a rhythm and keeps it:
  ``*/15 * * * *`` fires every 15 minutes of real time, in both of the repeated hours and with nothing extra for the
  skipped one.
"""

from __future__ import annotations

import copy
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from croniter import croniter
from croniter.croniter import CroniterBadDateError

from ..exceptions import LocoConfigurationError
from .triggers import EPOCH, SECOND

#: A wall clock's time has no zone.
_WALL_EPOCH = EPOCH.replace(tzinfo=None)


class _Change(NamedTuple):
    """The clocks are put forward or back."""

    at: datetime
    """When, in UTC."""

    start: datetime
    """The first wall clock time that is skipped, or comes twice."""

    length: timedelta
    """By how much; that long is what is skipped or comes twice."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields (or ``@daily`` and its like) on the wall clock of ``zone``.

    Fields as in crontab(5), also that days of the month and of the week are alternatives unless one of the
    fields starts with ``*``; beyond it croniter's ``L`` (last), ``#`` (nth weekday) and ``W`` (nearest weekday).
    Raises ``LocoConfigurationError`` for an expression that cannot be parsed, or never fires.
    """

    expression: str
    zone: tzinfo
    _parsed: croniter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parsed", _parse(self.expression))
        if self._wall_after(_WALL_EPOCH) is None:
            raise LocoConfigurationError(
                f"the cron expression {self.expression!r} never fires: no such day exists in these months."
            )

    def __str__(self) -> str:
        return self.expression

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first tick after ``moment``, in UTC; ``None`` if there is none within 50 years."""
        tick = self._next_in_order(moment)
        if tick is None:
            return None
        put_back = self._offset(moment) - self._offset(tick)
        return (self._next_repeated(moment, tick, put_back) if put_back > timedelta(0) else None) or tick

    def _next_in_order(self, moment: datetime) -> datetime | None:
        """The first tick after ``moment`` of those times that the wall clock does not show before ``moment``."""
        for wall in self._walls(self._wall(moment)):
            for tick in self._ticks(wall):
                if tick > moment:
                    return tick
        return None

    def _next_repeated(self, moment: datetime, end: datetime, put_back: timedelta) -> datetime | None:
        """The first tick between ``moment`` and ``end`` whose time the wall clock shows before ``moment`` as well."""
        for wall in self._walls(self._wall(moment) - put_back):
            if wall >= self._wall(end):
                return None
            for tick in self._ticks(wall)[1:]:
                if moment < tick < end:
                    return tick
        return None

    def _ticks(self, wall: datetime) -> tuple[datetime, ...]:
        """When to run for a time of the expression: once as a rule, twice or not at all for a rhythm."""
        before, after = (_offset(wall.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1))
        first, second = ((wall - offset).replace(tzinfo=UTC) for offset in (before, after))
        if before == after:
            return (first,)
        change = self._change(wall, before, after)
        comes_twice = before > after
        if self._is_rhythm(change):
            return (first, second) if comes_twice else ()
        return (first,) if comes_twice else (change.at,)

    def _change(self, wall: datetime, before: timedelta, after: timedelta) -> _Change:
        """The change of the clocks that skips or repeats ``wall``."""
        low, high = sorted((before, after))
        start = (wall - high).replace(tzinfo=UTC)
        seconds = range(round((high - low) / SECOND))
        past = bisect_left(seconds, True, key=lambda second: self._offset(start + second * SECOND) != before)
        at = start + past * SECOND
        return _Change(at, start=at.replace(tzinfo=None) + low, length=high - low)

    def _is_rhythm(self, change: _Change) -> bool:
        """Whether the expression also fires in the time, as long as the change, before it and after it."""
        end = change.start + change.length
        return self._fires(change.start - change.length, change.start) and self._fires(end, end + change.length)

    def _fires(self, start: datetime, end: datetime) -> bool:
        wall = self._wall_after(start - timedelta.resolution)
        return wall is not None and wall < end

    def _walls(self, wall: datetime) -> Iterator[datetime]:
        while (following := self._wall_after(wall)) is not None:
            yield following
            wall = following

    def _wall_after(self, wall: datetime) -> datetime | None:
        """The next wall clock time of the expression, as if no clock were ever changed."""
        # A search leaves traces in the object: each gets one of its own, also for the sake of other threads.
        search = copy.copy(self._parsed)
        try:
            return search.get_next(datetime, start_time=wall)  # type: ignore[no-any-return]
        except CroniterBadDateError:
            return None

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def _offset(self, moment: datetime) -> timedelta:
        return _offset(moment.astimezone(self.zone))


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)


#: Jenkins' "some time, the same every day" and croniter's "any time, another one at each start".
_BY_CHANCE = re.compile(r"[hr](\(.*\))?(/.*)?", re.IGNORECASE)


def _parse(expression: object) -> croniter:
    if not isinstance(expression, str):
        raise LocoConfigurationError(f'the cron expression is {expression!r}; it must be text, such as "*/5 * * * *".')
    fields = expression.split()
    if len(fields) != 5 and not expression.startswith("@"):  # noqa: PLR2004
        raise LocoConfigurationError(
            f"the cron expression {expression!r} has {len(fields)} fields; it must have five: "
            "minute, hour, day of the month, month, day of the week."
        )
    if any(_BY_CHANCE.fullmatch(item) for item in fields):
        raise LocoConfigurationError(
            f"the cron expression {expression!r} leaves the time to chance; give one, since every scheduler has to "
            "come to the same."
        )
    try:
        return croniter(expression, _WALL_EPOCH, ret_type=datetime, implement_cron_bug=True)
    except ValueError as error:
        raise LocoConfigurationError(
            f"the cron expression {expression!r} cannot be understood: {error}. It must be five fields such as "
            '"*/5 * * * *", "0 4 * * mon-fri" or "30 6 1,15 * *".'
        ) from error
