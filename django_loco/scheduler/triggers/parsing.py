"""Parses the values that users write: intervals, times of the day, weekdays, moments, time zones, and text.

Each function raises ``LocoConfigurationError``, which names the field and its valid values.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from django.utils import timezone

from ...conf import did_you_mean
from ...exceptions import LocoConfigurationError
from .cron import Cron
from .cron_in_words import WEEKDAYS
from .cron_parser import looks_like_cron
from .english_parser import parse_english
from .invalid import invalid
from .trigger import After, Interval, Trigger

FIRST_YEAR, LAST_YEAR = 1900, 2999

_TIME = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


def interval_of(length: object, units: Mapping[str, object], phase: object) -> Interval:
    """Return the interval of ``length`` (a ``timedelta``) and ``units`` together, shifted by ``phase``."""
    if not isinstance(length, timedelta):
        raise LocoConfigurationError(f"the interval is {length!r}; it must be a timedelta, or say seconds=15.")
    lengths = [length, *(_length(unit, count) for unit, count in units.items())]
    try:
        period = sum(lengths, timedelta(0))
    except OverflowError:
        raise LocoConfigurationError("the interval is longer than any timedelta.") from None
    return Interval(period, phase if isinstance(phase, timedelta) else _length("seconds", phase, field="phase"))


def _length(unit: str, count: object, field: str = "") -> timedelta:
    try:
        if isinstance(count, int | float) and not isinstance(count, bool):
            return timedelta(**{unit: count})
    except (OverflowError, ValueError):  # more than timedelta holds; not a number
        pass
    raise invalid(field or unit, count, f"a number of {unit}")


def length_of(field: str, value: object) -> timedelta:
    """Return ``value``, seconds or a ``timedelta``, which must not be negative."""
    length = value if isinstance(value, timedelta) else _length("seconds", value, field)
    if length < timedelta(0):
        raise LocoConfigurationError(f"{field} is {length.total_seconds():g} s; it must be 0 s or more.", field=field)
    return length


def parse_schedule(text: object, zone: tzinfo) -> Trigger:
    """Return the trigger of ``text``: a cron expression, English, or units of an interval, ``{"minutes": 5}``."""
    if isinstance(text, Mapping):
        return _interval_of_units(text)
    if not isinstance(text, str):
        raise LocoConfigurationError(
            f'the schedule is {text!r}; it must be text such as "every 15 minutes" or "*/15 * * * *", or a dict such '
            'as {"minutes": 15}.'
        )
    meant = text if looks_like_cron(text) else parse_english(text)
    return Cron(meant, zone) if isinstance(meant, str) else meant


_UNITS = ("weeks", "days", "hours", "minutes", "seconds")


def _interval_of_units(units: Mapping[object, object]) -> Interval:
    for unit in units:
        if unit not in (*_UNITS, "phase"):
            raise LocoConfigurationError(
                f"the schedule has the unknown unit {unit!r}.{did_you_mean(str(unit), (*_UNITS, 'phase'))}"
            )
    lengths = {str(unit): count for unit, count in units.items() if unit != "phase"}
    return interval_of(timedelta(0), lengths, units.get("phase", 0))


def moment_of(field: str, value: object, zone: tzinfo) -> datetime:
    """Return the moment ``value`` in UTC; without an offset it is on the wall clock of ``zone``.

    Its year must be from ``FIRST_YEAR`` to ``LAST_YEAR``, because additions and time zones fail at the ends of the
    calendar.
    """
    moment = _parsed_moment(value) if isinstance(value, str) else value
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), zone)
    if not isinstance(moment, datetime):
        raise invalid(field, value, 'a datetime, or text such as "2026-12-24 18:00" or "2026-12-24"')
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise LocoConfigurationError(
            f"{field} is {moment}; its year must be from {FIRST_YEAR} to {LAST_YEAR}.", field=field
        )
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _parsed_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def after_of(other: object) -> After:
    """Return the trigger that runs after the schedule ``other``."""
    if not (isinstance(other, str) and other.strip()):
        raise invalid("after", other, "the name of another schedule")
    return After(other)


def zone_of(value: object) -> tzinfo:
    """Return the time zone that ``value`` names; that of ``TIME_ZONE`` for ``None``."""
    if value is None:
        return timezone.get_default_timezone()
    if isinstance(value, tzinfo):
        return value
    if isinstance(value, str):
        try:
            return zoneinfo.ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # unknown; no path within the zones; a folder of zones
            pass
    near = difflib.get_close_matches(str(value), zoneinfo.available_timezones(), n=1)
    question = f" Did you mean {near[0]!r}?" if near else ""
    raise LocoConfigurationError(
        f'timezone is {value!r}; it must be a name such as "Europe/Berlin".{question}', field="timezone"
    )


def hourly_at(at: int) -> str:
    """Return the expression for minute ``at`` of every hour."""
    if not _within(at, 0, 59):
        raise invalid("at", at, "a minute, a whole number from 0 to 59")
    return f"{at} * * * *"


def daily_at(at: str | time) -> str:
    """Return the expression for the time ``at`` of every day."""
    return f"{_clock(at)} * * *"


def weekly_on(on: str | Sequence[str], at: str | time) -> str:
    """Return the expression for the time ``at`` on the weekday ``on``, or on several."""
    days = [on] if isinstance(on, str) or not isinstance(on, Sequence) else on
    if not days:
        raise LocoConfigurationError("on is empty; it must be one or more weekdays, such as 'monday'.")
    return f"{_clock(at)} * * {','.join(_weekday(day) for day in days)}"


def monthly_on(day: int | str, at: str | time) -> str:
    """Return the expression for the time ``at`` on ``day`` of every month that has one, or on its ``"last"``."""
    if day != "last" and not _within(day, 1, 31):
        raise invalid("day", day, 'a whole number from 1 to 31, or "last"')
    return f"{_clock(at)} {'L' if day == 'last' else day} * *"


def _within(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _clock(at: object) -> str:
    """Return the first two fields of the expression: minute and hour."""
    hour, minute = _hour_and_minute(at)
    if not (_within(hour, 0, 23) and _within(minute, 0, 59)):
        raise invalid("at", at, 'a time from "00:00" to "23:59"')
    return f"{minute} {hour}"


def _hour_and_minute(at: object) -> tuple[int, int]:
    if isinstance(at, time) and at == time(at.hour, at.minute):
        return at.hour, at.minute
    match = _TIME.fullmatch(at) if isinstance(at, str) else None
    return (int(match[1]), int(match[2])) if match else (-1, -1)


def _weekday(day: object) -> str:
    names = [name for name in WEEKDAYS if isinstance(day, str) and day.lower() in (name, name[:3])]
    if not names:
        raise invalid("on", day, f"one of {', '.join(WEEKDAYS)}")
    return names[0][:3]
