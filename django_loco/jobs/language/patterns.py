"""The meaning of values in a filter: patterns of text, numbers, times, and JSON."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import translate
from functools import partial
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime

from ...core.job import aware
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
_SPECIAL, _WILDCARD = re.compile(r"[*?\\]"), re.compile(r"[*?]")
_ESCAPED, _ESCAPED_OR_BRACKET = re.compile(r"\\([*?\\])"), re.compile(r"\\([*?\\])|\[")
_NUMBER = re.compile(r"(>=|<=|>|<|=)?(-?\d{1,18})")
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Stands for the value at a path that leads nowhere.
MISSING = object()


def escape(text: str) -> str:
    """Return a value for filters that matches ``text`` only, as ``glob.escape`` does for file names.

    Values of filters are patterns. So escape a name that comes from elsewhere, such as the name of a customer, if it
    may have a ``*``, a ``?`` or a backslash: ``jobs.filter(queue=jobs.escape(name))``. Values in ``args`` and
    ``metadata`` that are given as a dict are no patterns; leave them as they are.
    """
    return _SPECIAL.sub(r"\\\g<0>", text)


def unescape(pattern: str) -> str:
    """Return the text that a ``pattern`` without wildcards matches."""
    return _ESCAPED.sub(r"\1", pattern)


def has_wildcards(pattern: str) -> bool:
    """Return whether ``pattern`` has a ``*`` or a ``?`` without a backslash that makes it stand for itself."""
    return _WILDCARD.search(_ESCAPED.sub("", pattern)) is not None


def glob(pattern: str) -> Test:
    """Return a test of texts: ``*`` stands for any characters, ``?`` for one.

    After a backslash these two, and another backslash, stand for themselves.
    """
    return any_glob([pattern])


def any_glob(patterns: Iterable[str]) -> Test:
    """Return a test of whether a text matches one of ``patterns``: a look-up, and one expression for all wildcards."""
    exact: set[str] = set()
    expressions: dict[str, None] = {}
    for pattern in patterns:
        if has_wildcards(pattern):
            # The expression that fnmatch makes takes linear time however many * there are.
            expressions[translate(_ESCAPED_OR_BRACKET.sub(_in_fnmatch, pattern))] = None
        else:
            exact.add(unescape(pattern))
    if not expressions:
        return exact.__contains__
    match = re.compile("|".join(expressions)).match
    return lambda text: text in exact or match(text) is not None


def _in_fnmatch(found: re.Match[str]) -> str:
    """Return the pattern of fnmatch for one character: fnmatch has no backslashes, but characters in brackets."""
    return "\\" if found[1] == "\\" else f"[{found[1] or found[0]}]"


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

    A time without a zone is in the project's time zone, whatever zone is activated. Raises ``ValueError``.
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
        return aware(moment)
    except ValueError:
        raise ValueError(problem) from None


def json_test(value: str) -> Callable[[Any], bool]:
    """Return a test of a decoded JSON value: it equals ``value`` read as JSON, or is a text that matches it.

    So ``7`` matches the number 7 and the text "7", ``"7"`` only the text, and ``*.pdf`` texts with that end. A value in
    JSON is no pattern, because keyword arguments are passed as JSON: ``"*"`` matches this one text only.
    """
    try:
        wanted = decode(value)
    except (ValueError, RecursionError):
        matches = glob(value)
        return lambda actual: isinstance(actual, str) and matches(actual)
    if isinstance(wanted, str):
        return partial(operator.eq, wanted)
    return lambda actual: actual == value if isinstance(actual, str) else is_same_json(actual, wanted)


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
    """Return the value at ``path``, keys and places in lists, within a decoded JSON value; ``MISSING`` if none is."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value
