"""Parses the arguments of ``loco_jobs``. The parsers raise ``ArgumentTypeError``, which says what to write."""

from __future__ import annotations

import json
import re
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any, cast

from ..schedules import length

#: A word of a filter with a minus.
_NEGATED = re.compile(r"-[a-z]+(\.[^:]+)?:.+", re.DOTALL)


def no_flag(text: str) -> str:
    """Return ``text``, with a space before it if it is a word of a filter with a minus: argparse sees no flag then."""
    return f" {text}" if _NEGATED.fullmatch(text) else text


def add_flags_of_django(verb: ArgumentParser) -> None:
    """Accept ``--settings`` and Django's other flags also after the name of a ``verb``, where people write them."""
    for flag in ("--settings", "--pythonpath"):
        verb.add_argument(flag, default=SUPPRESS, help=SUPPRESS)
    for flag in ("--traceback", "--no-color", "--force-color"):
        verb.add_argument(flag, action="store_true", default=SUPPRESS, help=SUPPRESS)
    verb.add_argument("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help=SUPPRESS)


def positive(text: str) -> int:
    """Parse a whole number above 0. A number beyond the longest possible list is cut to its length."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0.")
    return min(int(text), sys.maxsize)


def moment(text: str) -> datetime | timedelta:
    """Parse ``now``, a duration from now on such as ``5m``, or a time such as ``2026-11-28T09:30``."""
    if text == "now":
        return timedelta(0)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return length(text)
    except ArgumentTypeError:
        raise ArgumentTypeError(
            f"{text!r} is no time. Write now, a length of time from now on such as 90m, 24h or 7d (at most a hundred "
            "years), or a date or time such as 2026-11-28 or 2026-11-28T09:30."
        ) from None


def json_list(text: str) -> list[Any]:
    """Parse a JSON list."""
    return cast("list[Any]", _json(text, list, "list, such as [1, 2]"))


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object."""
    return cast("dict[str, Any]", _json(text, dict, 'object, such as {"user_id": 7}'))


def json_value(text: str) -> Any:
    """Parse any JSON value."""
    return _json(text, object, "value. Text needs quotes: '\"yes\"'")


def _json(text: str, kind: type[Any], words: str) -> Any:
    try:
        if isinstance(value := json.loads(text), kind):
            return value
    except (ValueError, RecursionError):  # RecursionError if it is nested too deeply
        pass
    raise ArgumentTypeError(f"{text!r} is not a JSON {words}.")
