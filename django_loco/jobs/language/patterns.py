"""The meaning of values in a filter: patterns of text, numbers, times, and JSON."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fnmatch import translate
from functools import partial
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ...core.serialization import decode
from ...core.validation import duration_of

Test = Callable[[str], bool]

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_NUMBER = re.compile(r"(>=|<=|>|<|=)?(-?\d{1,18})")
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Stands for what a path does not lead to.
MISSING = object()


def has_wildcards(pattern: str) -> bool:
    """Return whether ``pattern`` has a ``*`` or a ``?``."""
    return "*" in pattern or "?" in pattern


def glob(pattern: str, *, ignores_case: bool = False) -> Test:
    """Return a test of texts: ``*`` stands for any characters, ``?`` for one."""
    if not has_wildcards(pattern) and not ignores_case:
        return partial(operator.eq, pattern)
    # The expression that fnmatch makes takes linear time however many * there are. Brackets are no wildcards here.
    expression = re.compile(translate(pattern.replace("[", "[[]")), re.IGNORECASE if ignores_case else re.NOFLAG)
    return lambda text: expression.match(text) is not None


def any_glob(patterns: Sequence[str]) -> Test:
    """Return a test of whether a text matches one of ``patterns``."""
    tests = [*map(glob, patterns)]
    return lambda text: any(test(text) for test in tests)


def number_test(value: str) -> Callable[[int], bool]:
    """Return the test that ``5``, ``>=5`` or ``1..5`` stands for. Raises ``ValueError``."""
    if match := _RANGE.fullmatch(value):
        least, most = int(match[1]), int(match[2])
        return lambda number: least <= number <= most
    if match := _NUMBER.fullmatch(value):
        compare, limit = _COMPARISONS[match[1] or "="], int(match[2])
        return lambda number: compare(number, limit)
    raise ValueError(f"{value!r} is not a number, a comparison such as >=5, or a range such as 1..5")


def moment_of(value: str, now: datetime) -> datetime:
    """Return the time that ``value`` stands for: a duration before ``now``, or a date or time as in ISO 8601.

    A time without a zone is in the project's. Raises ``ValueError``.
    """
    try:
        length = duration_of(value)
        moment = _iso(value) if length is None else now - length
        return max(moment.astimezone(UTC), EPOCH)
    except OverflowError:
        return EPOCH


def _iso(value: str) -> datetime:
    problem = f"{value!r} is neither a duration such as 90s, 5m, 2h or 7d, nor a date or time such as 2026-11-28T09:30"
    try:
        day = parse_date(value)
        moment = datetime(day.year, day.month, day.day) if day else parse_datetime(value)  # noqa: DTZ001 - below
        if moment is None:
            raise ValueError(problem)
        return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    except ValueError:
        raise ValueError(problem) from None


def json_test(value: str) -> Callable[[Any], bool]:
    """Return a test of a decoded JSON value: it equals ``value`` read as JSON, or is a text that matches it.

    So ``7`` matches the number 7 and the text "7", ``"7"`` only the text, and ``*.pdf`` texts with that end.
    """
    matches = glob(value)
    try:
        wanted = decode(value)
    except (ValueError, RecursionError):
        wanted = MISSING
    return lambda actual: is_same_json(actual, wanted) or (isinstance(actual, str) and matches(actual))


def any_json(values: Sequence[str]) -> Callable[[Any], bool]:
    """Return a test of whether a decoded JSON value matches one of ``values``; ``MISSING`` matches none."""
    tests = [*map(json_test, values)]
    return lambda actual: actual is not MISSING and any(test(actual) for test in tests)


def is_same_json(one: Any, other: Any) -> bool:
    """Return whether two decoded JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same_json(each, other[key]) for key, each in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def at_path(value: Any, path: Sequence[str]) -> Any:
    """Return what is at ``path`` within a decoded JSON value: keys of objects and places in lists; else ``MISSING``."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value
