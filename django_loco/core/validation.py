"""Validates the values of a job before it is enqueued, equally for every queue.

Stores differ in what they accept, and some accept values that they cannot read back. So values that any of them could
not keep are refused here, with the same error for all.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from ..exceptions import InvalidArguments
from .compat import InvalidTask, Task

#: The maximum number of characters of a queue name or a tag. An index of PostgreSQL holds 2,700 bytes.
MAX_NAME = 200
MAX_TAGS = 100
#: A hundred years in seconds. A later time is beyond the calendar of some store.
MAX_SECONDS = 100 * 366 * 86_400
#: Years in which a time can be converted to every time zone.
FIRST_YEAR, LAST_YEAR = 1970, 9998
#: The requirement for a name in an error: "it must be ...".
NAME_REQUIREMENT = f"text of 1 to {MAX_NAME} printable characters"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which values an option or a setting may have."""

    is_valid: Callable[[Any], bool]
    requirement: str
    """Completes the error "it must be ..."."""

    def problem(self, name: str, value: Any) -> str | None:
        """Return a sentence that says why ``name`` must not be ``value``; ``None`` if it is valid."""
        return None if self.is_valid(value) else f"{name} is {short(value)}; it must be {self.requirement}."


def is_name(value: object) -> bool:
    """Return whether every store takes ``value`` as a queue name or a tag."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def is_number(value: object) -> bool:
    """Return whether ``value`` is a finite number, and not a ``bool``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf


def is_whole(value: Any, least: int = 1) -> bool:
    """Return whether ``value`` is a whole number of ``least`` or more, and not a ``bool``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_seconds(value: Any) -> bool:
    """Return whether ``value`` is a number of seconds above 0 and up to ``MAX_SECONDS``."""
    return is_number(value) and 0 < value <= MAX_SECONDS


COUNT = Rule(is_whole, "a whole number, 1 or more")
SECONDS = Rule(is_seconds, "a number of seconds above 0, a hundred years at most")


def validate_task(task: Task[..., Any]) -> None:
    """Raise ``InvalidTask``, which names the argument, if queue name, priority or ``run_after`` is invalid."""
    if not is_name(task.queue_name):
        raise InvalidTask(f"queue_name is {short(task.queue_name)}; it must be {NAME_REQUIREMENT}.")
    if type(task.priority) is not int and not is_number(task.priority):
        raise InvalidTask(f"priority is {short(task.priority)}; it must be a whole number.")
    if task.run_after is not None:
        _validate_time(task.run_after)


def _validate_time(moment: object) -> None:
    if not isinstance(moment, datetime):
        raise InvalidTask(f"run_after is {short(moment)}; it must be a datetime or a timedelta.")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InvalidTask(f"run_after is {moment}; it must be in the years {FIRST_YEAR} to {LAST_YEAR}.")


def validate_call(task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise ``InvalidArguments`` if the function of ``task`` does not take these arguments."""
    count = len(args) + 1 if task.takes_context else len(args)
    if misfit := _misfit(task.func, count, tuple(kwargs)):
        raise InvalidArguments(f"the arguments do not fit {task.module_path}{misfit}.")


@lru_cache(maxsize=4096)
def _misfit(function: Callable[..., Any], count: int, names: tuple[str, ...]) -> str:
    """Return why ``function`` does not take ``count`` positional and these keyword arguments; empty if it does.

    A decorator may add arguments. So the signature of the function that is called counts, not that of the function that
    it wraps.
    """
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # a function in C without a signature
        return ""
    try:
        signature.bind(*(None,) * count, **dict.fromkeys(names))
    except TypeError as error:
        return f"{signature}: {error}"
    return ""


def short(value: object) -> str:
    """Return ``value`` for an error message, shortened if it is long."""
    text = ascii(value)
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME // 2]}... ({len(text)} characters)"
