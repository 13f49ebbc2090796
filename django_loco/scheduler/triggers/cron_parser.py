"""Parses cron expressions by croniter: five fields, six with seconds first, seven with a year last.

croniter also finds the days. The times within a day are found here, which is thirty times as fast. It matters because a
scheduler needs the next time of each schedule at its start and at each tick, but the next day only once a day.
"""

from __future__ import annotations

import copy
import re
from bisect import bisect_right
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from croniter import croniter
from croniter.croniter import CroniterBadDateError

from ...exceptions import LocoConfigurationError
from .trigger import EPOCH

#: Without a zone, as the times of a wall clock have none.
WALL_EPOCH = EPOCH.replace(tzinfo=None)
DAY = timedelta(days=1)

#: How many fields there may be.
_PLAIN, _WITH_YEAR = 5, 7
#: The index of the field for the day of the week, and the number of Sunday there besides 0.
_WEEKDAY, _SUNDAY = 4, 7
#: The years from 1970 to 2099, which croniter supports. Without a year in the expression it searches 50 years.
_ALL_YEARS = 130
_FIELDS = "minute, hour, day of the month, month, day of the week"

#: Jenkins' H, a time chosen by hash, and croniter's R, a random time.
_BY_CHANCE = re.compile(r"[hr](\(.*\))?(/.*)?", re.IGNORECASE)
_NUMBERS = re.compile(r"[\d*?/,\-]+")
#: The last Friday as Quartz writes it; croniter writes L5.
_LAST_WEEKDAY = re.compile(r"([0-7])L", re.IGNORECASE)
#: A range with a step. If it wraps around, as 23-5/2, croniter miscounts.
_STEPS = re.compile(r"(\w+)-(\w+)/(\d+)", re.ASCII)
#: The indexes of croniter's fields in an expression with seconds: croniter has second and year last.
_WITH_SECONDS = (5, 0, 1, 2, 3, 4, 6)
#: The range 10-10 means 10; croniter would wrap around.
_RANGE_OF_ONE = re.compile(r"\b(\w+)-\1\b(/\d+)?", re.IGNORECASE)


def looks_like_cron(text: str) -> bool:
    """Return whether ``text`` is a cron expression rather than English.

    The first two fields of an expression are numbers; in English one of the first two words has letters.
    """
    first = text.split()[:2]
    return text.startswith("@") or (
        bool(first) and all(_NUMBERS.fullmatch(word) or _BY_CHANCE.fullmatch(word) for word in first)
    )


class ParsedCron:
    """A parsed cron expression."""

    def __init__(self, parsed: croniter) -> None:
        self.fields = _seven(parsed.expressions)
        minutes, hours, *_ = parsed.expanded
        seconds = parsed.expanded[_PLAIN] if len(parsed.expanded) > _PLAIN else [0]
        self._hours, self._minutes, self._seconds = _numbers(hours, 24), _numbers(minutes, 60), _numbers(seconds, 60)
        self._first = time(self._hours[0], self._minutes[0], self._seconds[0])
        year = tuple(parsed.expressions[_PLAIN + 1 :])
        self._days = () if _are_all(parsed) else tuple(_days(days, year) for days in _alternatives(parsed))
        """Expressions for the days. One of them must match. Empty if every day matches."""

    def next_after(self, wall: datetime) -> datetime | None:
        """Return the first time after ``wall``, ignoring changes of the clocks; ``None`` if there is none."""
        day = wall.date()
        if self._is_day(day) and (later := self._later(wall)) is not None:
            return datetime.combine(day, later)
        following = self._day_after(day)
        return None if following is None else datetime.combine(following, self._first)

    def _later(self, wall: datetime) -> time | None:
        """Return the first time of the day after ``wall``."""
        hour, minute = wall.hour, wall.minute
        if hour in self._hours:
            if minute in self._minutes and (second := _above(self._seconds, wall.second)) is not None:
                return time(hour, minute, second)
            if (minute_after := _above(self._minutes, minute)) is not None:
                return time(hour, minute_after, self._first.second)
        hour_after = _above(self._hours, hour)
        return None if hour_after is None else time(hour_after, self._first.minute, self._first.second)

    def _is_day(self, day: date) -> bool:
        return not self._days or any(_day_after(days, day - DAY) == day for days in self._days)

    def _day_after(self, day: date) -> date | None:
        if self._days:
            return min(filter(None, (_day_after(days, day) for days in self._days)), default=None)
        return None if day == date.max else day + DAY


def parse(expression: object) -> ParsedCron:
    """Return ``expression``, parsed.

    Raises ``LocoConfigurationError`` if it cannot be parsed or never fires.
    """
    if not isinstance(expression, str):
        raise LocoConfigurationError(f'the cron expression is {expression!r}; it must be text, such as "*/5 * * * *".')
    return _parse(expression)


@lru_cache(maxsize=10_000)
def _parse(expression: str) -> ParsedCron:
    fields = expression.split()
    if not expression.startswith("@"):
        _check(expression, fields)
        fields = [_RANGE_OF_ONE.sub(r"\1", item) for item in fields]
        kinds = range(_PLAIN) if len(fields) == _PLAIN else _WITH_SECONDS
        fields = [_unwrapped(item, kind) for item, kind in zip(fields, kinds, strict=False)]
        weekday = 4 if len(fields) == _PLAIN else 5
        fields[weekday] = _LAST_WEEKDAY.sub(r"L\1", fields[weekday])
    parsed = ParsedCron(_made(expression, fields))
    if parsed.next_after(WALL_EPOCH) is None:
        raise LocoConfigurationError(
            f"the cron expression {expression!r} never fires: no such day exists in these months."
        )
    return parsed


def _unwrapped(field: str, kind: int) -> str:
    """Return ``field`` with a list in place of each range with a step that wraps around."""
    return ",".join(_listed(item, kind) for item in field.split(","))


def _listed(item: str, kind: int) -> str:
    if (match := _STEPS.fullmatch(item)) is None:
        return item
    names, (least, greatest) = croniter.ALPHACONV[kind], croniter.RANGES[kind]
    ends = [str(names.get(end.lower(), end)) for end in match.groups()[:2]]
    step, count = int(match[3]), greatest - least + 1
    if not step or not all(end.isdigit() for end in ends):
        return item
    start, end = (0 if kind == _WEEKDAY and each == _SUNDAY else each for each in map(int, ends))
    if not least <= end < start <= greatest:
        return item
    return ",".join(str(least + (number - least) % count) for number in range(start, end + count + 1, step))


def _check(expression: str, fields: list[str]) -> None:
    if not _PLAIN <= len(fields) <= _WITH_YEAR:
        raise LocoConfigurationError(
            f"the cron expression {expression!r} has {len(fields)} fields; it must have five: "
            f"{_FIELDS}; or six, with the second first; or seven, with the year last as well."
        )
    if any(_BY_CHANCE.fullmatch(item) for item in fields):
        raise LocoConfigurationError(
            f"the cron expression {expression!r} has a random time; give a fixed one, because all schedulers must "
            "compute the same."
        )


def _made(expression: str, fields: list[str]) -> croniter:
    try:
        return croniter(
            " ".join(fields),
            WALL_EPOCH,
            ret_type=datetime,
            implement_cron_bug=True,
            second_at_beginning=True,
            max_years_between_matches=_ALL_YEARS if len(fields) == _WITH_YEAR else None,
        )
    except ValueError as error:
        raise LocoConfigurationError(
            f"the cron expression {expression!r} cannot be understood: {error}. It must be five fields such as "
            '"*/5 * * * *", "0 4 * * mon-fri" or "30 6 1,15 * *", or six with the second first.'
        ) from error


@lru_cache(maxsize=10_000)
def _days(days: tuple[str, ...], year: tuple[str, ...]) -> croniter:
    """Return an expression for midnight on the days of these fields. Expressions with equal fields share it."""
    fields = ["0", "0", *days] if not year else ["0", "0", "0", *days, *year]
    return _made(" ".join(fields), fields)


@lru_cache(maxsize=20_000)
def _day_after(days: croniter, day: date) -> date | None:
    # Copied, because a search changes the object and other threads may use it.
    search = copy.copy(days)
    try:
        found: datetime = search.get_next(datetime, start_time=datetime.combine(day, time.min))
    except CroniterBadDateError:
        return None
    return found.date()


def _are_all(parsed: croniter) -> bool:
    """Return whether day, month, day of the week and year are all ``*``."""
    fields = (*parsed.expanded[2:_PLAIN], *parsed.expanded[_PLAIN + 1 :])
    return all(field == ["*"] for field in fields) and not parsed.nth_weekday_of_month


def _alternatives(parsed: croniter) -> list[tuple[str, ...]]:
    """Return the fields day, month and day of the week, or two such groups if either kind of days may match.

    By crontab(5) days of the month and of the week are alternatives unless one of the fields starts with ``*``.
    croniter does the same, but its ``#``, ``L5`` and ``W`` must always match.
    """
    day, month, weekday = parsed.expressions[2:_PLAIN]
    is_either = not any(field.startswith(("*", "?")) for field in (day, weekday))
    if is_either and (parsed.nth_weekday_of_month or parsed.nearest_weekday):
        return [(day, month, "*"), ("*", month, weekday)]
    return [(day, month, weekday)]


def _numbers(field: list[object], count: int) -> tuple[int, ...]:
    return tuple(range(count)) if field == ["*"] else tuple(sorted(int(str(number)) for number in field))


def _above(numbers: tuple[int, ...], number: int) -> int | None:
    """Return the first of the sorted ``numbers`` above ``number``."""
    place = bisect_right(numbers, number)
    return numbers[place] if place < len(numbers) else None


def _seven(fields: list[str]) -> tuple[str, ...]:
    """Return the seven fields in lower case: second, minute, hour, day of the month, month, day of the week, year."""
    minute, hour, day, month, weekday = fields[:_PLAIN]
    second, year = [*fields[_PLAIN:], *("0", "*")[len(fields) - _PLAIN :]]
    return second, minute, hour, day, month, weekday, year
