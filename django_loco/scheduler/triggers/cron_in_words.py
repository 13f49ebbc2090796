"""Describes cron expressions in English: ``"0 16 * * mon-fri"`` is "at 16:00 on Monday to Friday".

The package cron-descriptor is not used: for ``*/2 * mon`` it says "or on Monday", where cron means "and", and
``english_parser`` cannot read its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import product

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
ORDINALS = ("first", "second", "third", "fourth", "fifth")

#: Up to this many times of the day are listed, instead of the minutes and the hours.
_MAX_TIMES_LISTED = 6
_PLAIN_LIST = re.compile(r"\d+(,\d+)*")


def words_of(fields: Sequence[str]) -> str:
    """Describe the seven ``fields``: second, minute, hour, day of the month, month, day of the week, year."""
    second, minute, hour, day, month, weekday, year = fields
    times = _clock_times(second, minute, hour)
    days = [_days(day, weekday), _dates("in", month, "month", _month), _dates("in", year, "year", str)]
    when = [part for part in days if part]
    if times and not when:
        return f"every day at {times}"
    return " ".join([f"at {times}" if times else _rhythm(second, minute, hour), *when])


def ordinal(number: int) -> str:
    """Return ``1st``, ``2nd`` and so on."""
    teens = range(11, 14)
    return f"{number}{'th' if number % 100 in teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def listed(items: Sequence[str], last: str = "and") -> str:
    """Return ``a, b and c``."""
    return f" {last} ".join(part for part in (", ".join(items[:-1]), items[-1]) if part)


def _clock_times(second: str, minute: str, hour: str) -> str:
    """Return the times of the day if they are few; else ``""``."""
    if not all(_PLAIN_LIST.fullmatch(field) for field in (second, minute, hour)):
        return ""
    times = sorted(product(*(sorted({int(item) for item in field.split(",")}) for field in (hour, minute, second))))
    if len(times) > _MAX_TIMES_LISTED:
        return ""
    return listed([f"{h:02}:{m:02}" + (f":{s:02}" if s else "") for h, m, s in times])


def _rhythm(second: str, minute: str, hour: str) -> str:
    """Describe second, minute and hour, from the first that is not 0 to the last that is not ``*``."""
    if second == "0" and minute == "0":
        return _part(hour, "hour") if hour.startswith("*") else f"every hour, {_part(hour, 'hour')}"
    parts = [] if second == "0" else [_part(second, "second")]
    if not parts or minute != "*":
        parts.append(_part(minute, "minute"))
    if hour != "*":
        parts.append(_part(hour, "hour"))
    elif not parts[-1].startswith("every"):
        parts.append("every hour" if minute != "*" else "every minute")
    return ", ".join(parts)


def _part(field: str, unit: str) -> str:
    if field == "*":
        return f"every {unit}"
    if step := re.fullmatch(r"\*/(\d+)", field):
        return f"every {step[1]} {unit}s" if step[1] != "1" else f"every {unit}"
    plural = "" if field.isdigit() else "s"
    return f"{unit}{plural} {_items(field, str)}"


def _items(field: str, name: Callable[[str], str]) -> str:
    return listed([_range(item, name) for item in field.split(",")])


def _range(item: str, name: Callable[[str], str]) -> str:
    span, _, step = item.partition("/")
    text = " to ".join(name(end) for end in span.split("-"))
    return f"{text} in steps of {step}" if step else text


def _days(day: str, weekday: str) -> str:
    """Describe the days of the month and of the week.

    They are alternatives unless one starts with ``*``: see crontab(5).
    """
    first, second = _dates("on", day, "day of the month", _day), _dates("on", weekday, "weekday", _weekday)
    if not (first and second):
        return first or second
    both = day.startswith("*") or weekday.startswith("*")
    return f"{first} that is {second.removeprefix('on ')}" if both else f"{first} or {second}"


def _dates(preposition: str, field: str, unit: str, name: Callable[[str], str]) -> str:
    if field in ("*", "?"):
        return ""
    if step := re.fullmatch(r"\*/(\d+)", field):
        return f"{preposition} every {ordinal(int(step[1]))} {unit}"
    end = " of the month" if name is _day else ""
    return f"{preposition} {'the ' if end else ''}{_items(field, name)}{end}"


def _day(item: str) -> str:
    if item == "l":
        return "last day"
    if "w" in item:
        return f"weekday nearest to the {ordinal(int(item.strip('w')))}"
    # Anything else is the * of a step beside other days, as in "*/10,31".
    return ordinal(int(item)) if item.isdigit() else "1st to 31st"


def _month(item: str) -> str:
    return (MONTHS[int(item) - 1] if item.isdigit() else _named(item, MONTHS)).capitalize()


def _weekday(item: str) -> str:
    name, _, nth = item.partition("#")
    if name.startswith("l"):
        name, nth = name[1:], "last"
    day = (WEEKDAYS[int(name) % 7] if name.isdigit() else _named(name, WEEKDAYS)).capitalize()
    if not nth:
        return day
    return f"the {ORDINALS[int(nth) - 1] if nth.isdigit() else 'last'} {day} of the month"


def _named(start: str, names: Sequence[str]) -> str:
    return next((name for name in names if name.startswith(start)), start)
