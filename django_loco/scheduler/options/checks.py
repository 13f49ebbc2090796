"""The checks of the options of a schedule. Each raises ``LocoConfigurationError`` with the ``field`` that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal, get_args

from ...core.validation import MAX_NAME, is_name, is_whole
from ..misfire import MAX_CAP, MisfireMode, keys_kept
from ..triggers.cron_in_words import listed
from ..triggers.invalid import invalid
from ..triggers.parsing import length_of

MAX_JITTER = timedelta(days=31)

Overlap = Literal["allow", "skip", "queue"]
Output = Literal["stdout", "silent"]
#: Takes the name of an option and its value, and returns the value that the schedule gets.
Check = Callable[[str, Any], Any]


def require(is_valid: Callable[[Any], bool], requirement: str) -> Check:
    """Return a check that accepts the values for which ``is_valid`` is true; ``requirement`` completes its error."""

    def check(field: str, value: Any) -> Any:
        if not is_valid(value):
            raise invalid(field, value, requirement)
        return value

    return check


def one_of(literal: Any) -> Check:
    """Return a check that accepts the values of the type ``literal``."""
    choices = get_args(literal)
    return require(lambda value: value in choices, listed([f'"{choice}"' for choice in choices], "or"))


name = require(
    lambda value: value is None or (is_name(value) and not value.isspace()),
    f"text of one line, at most {MAX_NAME} characters",
)
args = require(lambda value: isinstance(value, list | tuple), "a list of the task's positional arguments")
boolean = require(lambda value: isinstance(value, bool), "True or False")
cap = require(lambda value: is_whole(value) and value <= MAX_CAP, f"a whole number from 1 to {MAX_CAP}")
misfire = one_of(MisfireMode)
output = one_of(Output)
overlap = one_of(Overlap)


def kwargs(field: str, value: Any) -> Mapping[str, Any]:
    """Return the keyword arguments ``value``."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(field, value, "a dict of the task's keyword arguments")
    return value


def tags(field: str, value: Any) -> tuple[str, ...]:
    """Return the tags ``value`` as a tuple."""
    if not isinstance(value, list | tuple | set | frozenset) or not all(is_name(tag) for tag in value):
        raise invalid(field, value, "a list of words")
    return tuple(value)


def jitter(field: str, value: Any) -> timedelta:
    """Return the longest delay ``value``, seconds or a ``timedelta``."""
    longest = length_of(field, value)
    if longest > MAX_JITTER:
        raise invalid(field, longest, f"at most {MAX_JITTER.days} days")
    return longest


def grace(field: str, value: Any) -> timedelta | None:
    """Return the grace time ``value``, seconds or a ``timedelta``."""
    if value is None:
        return None
    length = length_of(field, value)
    if length > (longest := keys_kept()):
        requirement = f"at most {longest.total_seconds():g} s, because the queue forgets fired ticks after that time"
        raise invalid(field, length, f"{requirement}. A longer LOCO['RESULT_TTL'] allows more")
    return length
