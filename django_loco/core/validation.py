"""What a job may be made of: one gate in front of every queue.

A store that takes what another one refuses, or takes what it cannot read back, would make one program behave in two
ways. So everything is refused here, with one error, before any store sees it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from ..exceptions import InvalidArguments
from .compat import InvalidTask, Task

#: Characters of the name of a queue, or of a tag. An index of PostgreSQL holds 2,700 bytes.
MAX_NAME = 200
MAX_TAGS = 100
#: Seconds: a hundred years. More than that from now on is beyond the calendar of some store or other.
MAX_SECONDS = 100 * 366 * 86_400
#: At the ends of the calendar a time cannot be converted to every time zone.
FIRST_YEAR, LAST_YEAR = 1970, 9998
#: What values have to be, for error messages.
NAME_REQUIREMENT = f"text of 1 to {MAX_NAME} printable characters"
WHOLE_REQUIREMENT = "a whole number, 1 or more"
SECONDS_REQUIREMENT = "a number of seconds above 0, a hundred years at most"


def is_name(value: object) -> bool:
    """Whether ``value`` can be the name of a queue, or a tag, in every store."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number, and not a ``bool``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf


def is_whole(value: Any, least: int = 1) -> bool:
    """Whether ``value`` is a whole number of ``least`` or more, and not a ``bool``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_seconds(value: Any) -> bool:
    """Whether ``value`` is a length of time above 0 that the calendar has room for."""
    return is_number(value) and 0 < value <= MAX_SECONDS


def validate_task(task: Task[..., Any]) -> None:
    """Check the values that Django gives every task. Raises ``InvalidTask``, which names the argument."""
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
    """Check that the function of ``task`` takes these arguments. Raises ``InvalidArguments``."""
    count = len(args) + 1 if task.takes_context else len(args)
    if misfit := _misfit(task.func, count, tuple(kwargs)):
        raise InvalidArguments(f"the arguments do not fit {task.module_path}{misfit}.")


@lru_cache(maxsize=4096)
def _misfit(function: Callable[..., Any], count: int, names: tuple[str, ...]) -> str:
    """Return why ``function`` cannot be called with ``count`` positional and these keyword arguments; or nothing.

    A decorator may add arguments to those of its caller. So what counts is the function that is called, rather than
    the one that it says it wraps.
    """
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # a function in C that does not tell
        return ""
    try:
        signature.bind(*(None,) * count, **dict.fromkeys(names))
    except TypeError as error:
        return f"{signature}: {error}"
    return ""


def short(value: object) -> str:
    """Return ``value`` for an error message, which it must not fill."""
    text = ascii(value)
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME // 2]}... ({len(text)} characters)"
