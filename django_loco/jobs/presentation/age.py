"""Durations in words, for commands and pages."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import pgettext, pgettext_lazy

from ...log.plain_text import duration_text
from .numbers import number_text

#: Each unit of time with its seconds.
_UNITS = (
    (pgettext_lazy("unit of time", "%(number)s d"), 86_400),
    (pgettext_lazy("unit of time", "%(number)s h"), 3_600),
    (pgettext_lazy("unit of time", "%(number)s min"), 60),
    (pgettext_lazy("unit of time", "%(number)s s"), 1),
)


def age(seconds: float) -> str:
    """Return a duration in its two largest units: ``3 h 5 min``."""
    rest, parts = int(seconds), []
    for unit, size in _UNITS:
        number, rest = divmod(rest, size)
        if number:
            parts.append(unit % {"number": number})
    return " ".join(parts[:2]) or pgettext("unit of time", "%(number)s s") % {"number": 0}


def elapsed(seconds: float) -> str:
    """Return a measured duration, as the console shows it up to a minute: ``4 ms``, ``3.20 s``, ``2 min 5 s``."""
    if seconds >= 60:  # noqa: PLR2004 - a minute
        return age(seconds)
    number, unit = duration_text(seconds).split()
    return in_milliseconds(Decimal(number)) if unit == "ms" else in_seconds(Decimal(number))


def in_milliseconds(number: float | Decimal) -> str:
    """Return a number of milliseconds in words: ``65 ms``."""
    return pgettext("unit of time", "%(number)s ms") % {"number": number_text(number)}


def in_seconds(number: float | Decimal, decimals: int | None = None) -> str:
    """Return a number of seconds in words: ``3.20 s``."""
    return pgettext("unit of time", "%(number)s s") % {"number": number_text(number, decimals)}
