"""The checks of the options of a schedule. Each raises ``LocoConfigurationError`` with the ``field`` that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, get_args

from ...core.validation import is_name
from ...exceptions import LocoConfigurationError
from ..triggers.invalid import invalid
from ..triggers.parsing import length_of

MAX_NAME_LENGTH = 200
MAX_JITTER = timedelta(days=31)

Overlap = Literal["allow", "skip", "queue"]
Output = Literal["stdout", "silent"]


def check_name(field: str, value: Any) -> str | None:
    """Return the name ``value``; ``None`` stands for the path of the task."""
    if value is None:
        return None
    if not (isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= MAX_NAME_LENGTH):
        raise invalid(field, value, f"text of one line, at most {MAX_NAME_LENGTH} characters")
    return value


def check_args(field: str, value: Any) -> Sequence[Any]:
    """Return the positional arguments ``value``."""
    if not isinstance(value, list | tuple):
        raise invalid(field, value, "a list of the task's positional arguments")
    return value


def check_kwargs(field: str, value: Any) -> Mapping[str, Any]:
    """Return the keyword arguments ``value``."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(field, value, "a dict of the task's keyword arguments")
    return value


def check_tags(field: str, value: Any) -> tuple[str, ...]:
    """Return the tags ``value`` as a tuple."""
    if not isinstance(value, list | tuple | set | frozenset) or not all(is_name(tag) for tag in value):
        raise invalid(field, value, "a list of words")
    return tuple(value)


def check_jitter(field: str, value: Any) -> timedelta:
    """Return the longest delay ``value``, seconds or a ``timedelta``."""
    jitter = length_of(field, value)
    if jitter > MAX_JITTER:
        raise LocoConfigurationError(
            f"{field} is {jitter.total_seconds():g} s; it must be at most {MAX_JITTER.days} days.", field=field
        )
    return jitter


def check_overlap(field: str, value: Any) -> Overlap:
    """Return ``value`` if it is one of ``Overlap``."""
    if value not in get_args(Overlap):
        raise invalid(field, value, '"allow", "skip" or "queue"')
    return value  # type: ignore[no-any-return]


def check_output(field: str, value: Any) -> Output:
    """Return ``value`` if it is one of ``Output``."""
    if value not in get_args(Output):
        raise invalid(field, value, '"stdout" or "silent"')
    return value  # type: ignore[no-any-return]


def check_boolean(field: str, value: Any) -> bool:
    """Return ``value`` if it is a ``bool``."""
    if not isinstance(value, bool):
        raise invalid(field, value, "True or False")
    return value
