"""Parses the values that users write: intervals, times of the day, weekdays, moments, time zones, and text.

Each function raises ``LocoConfigurationError``, which names the field and its valid values.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from django.utils import timezone

from ...core.validation import did_you_mean, is_number, is_whole, nearest
from ...exceptions import LocoConfigurationError
from .cron import Cron
from .cron_in_words import WEEKDAYS
from .cron_parser import looks_like_cron
from .english_parser import parse_english
from .invalid import invalid
from .trigger import UNITS, After, Interval, Trigger

FIRST_YEAR, LAST_YEAR = 1900, 2999

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


def interval_of(length: object, units: Mapping[str, object], phase: object) -> Interval:
    """Return the interval of ``length`` (a ``timedelta``) and ``units`` together, shifted by ``phase``."""
    if not isinstance(length, timedelta):
        raise LocoConfigurationError(
            f"the interval is {length!r}; it must be a timedelta, or units such as seconds=15."
        )
    lengths = [length, *(_length(unit, count) for unit, count in units.items())]
    try:
        period = sum(lengths, timedelta(0))
    except OverflowError:
        raise LocoConfigurationError("the interval is longer than any timedelta.") from None
    return Interval(period, phase if isinstance(phase, timedelta) else _length("seconds", phase, field="phase"))


def _length(unit: str, count: Any, field: str = "") -> timedelta:
    if is_number(count):
        with suppress(OverflowError):
            return timedelta(**{unit: count})
    raise invalid(field or unit, count, f"a number of {unit}")


def length_of(field: str, value: object) -> timedelta:
    """Return ``value``, seconds or a ``timedelta``, which must not be negative."""
    length = value if isinstance(value, timedelta) else _length("seconds", value, field)
    if length < timedelta(0):
        raise invalid(field, length, "0 s or more")
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
    meant = text if looks_like_cron(text) else parse_english(text, zone)
    return Cron(meant, zone) if isinstance(meant, str) else meant


def _interval_of_units(units: Mapping[object, object]) -> Interval:
    for unit in units:
        if unit not in (*UNITS, "phase"):
            raise LocoConfigurationError(
                f"the schedule has the unknown unit {unit!r}.{did_you_mean(str(unit), (*UNITS, 'phase'))}"
            )
    lengths = {str(unit): count for unit, count in units.items() if unit != "phase"}
    return interval_of(timedelta(0), lengths, units.get("phase", 0))


def moment_of(field: str, value: object, zone: tzinfo) -> datetime:
    """Return the moment ``value`` in UTC; without an offset it is on the wall clock of ``zone``.

    The year must be from ``FIRST_YEAR`` to ``LAST_YEAR``, because additions and time zones fail at the ends of the
    calendar.
    """
    moment = value
    if isinstance(value, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), zone)
    if not isinstance(moment, datetime):
        raise invalid(field, value, 'a datetime, or text such as "2026-12-24 18:00" or "2026-12-24"')
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise invalid(field, str(moment), f"in the years {FIRST_YEAR} to {LAST_YEAR}")
    return (_on_zoneinfo(moment) if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _on_zoneinfo(moment: datetime) -> datetime:
    """Return ``moment`` with a zoneinfo zone instead of a pytz zone.

    Unlocalized pytz zones have the offset of local mean time.
    """
    zone = zone_of(moment.tzinfo)
    if zone is moment.tzinfo:
        return moment
    found = moment.replace(tzinfo=zone, fold=1)
    return found if found.utcoffset() == moment.utcoffset() else found.replace(fold=0)


def after_of(other: object) -> After:
    """Return the trigger that runs after the schedule ``other``."""
    if not (isinstance(other, str) and other.strip()):
        raise invalid("after", other, "the name of another schedule")
    return After(other)


def zone_of(value: object) -> tzinfo:
    """Return the time zone that ``value`` names; for ``None``, the zone of ``TIME_ZONE``."""
    if value is None:
        return timezone.get_default_timezone()
    if isinstance(value, tzinfo):
        if not isinstance(name := getattr(value, "zone", None), str):
            return value
        value = name  # a pytz zone has no right offset before it is localized
    if isinstance(value, str):
        with suppress(KeyError, ValueError, OSError):  # unknown; not a path within the zones; a folder of zones
            return zoneinfo.ZoneInfo(value)
    near = nearest(str(value), sorted(zoneinfo.available_timezones()))
    question = f" Did you mean {near!r}?" if near else ""
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


def _within(value: Any, low: int, high: int) -> bool:
    return is_whole(value, low) and value <= high


def _clock(at: object) -> str:
    """Return the first two fields of the expression: minute and hour."""
    # A time with seconds or with a zone does not match.
    text = str(at).removesuffix(":00") if isinstance(at, time) else at
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise invalid("at", at, 'a time from "00:00" to "23:59"')
    return f"{int(match[2])} {int(match[1])}"


def _weekday(day: object) -> str:
    names = [name for name in WEEKDAYS if isinstance(day, str) and day.lower() in (name, name[:3])]
    if not names:
        raise invalid("on", day, f"one of {', '.join(WEEKDAYS)}")
    return names[0][:3]
