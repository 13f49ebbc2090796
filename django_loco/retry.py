"""When a failed job is tried again: pure functions and one value, no clock and no I/O."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import import_string

from .validation import MAX_TAGS, NAME, is_name, is_number, is_seconds, short

#: Seconds; a list of them (the last one repeats); or a function of the exception and the task result that
#: returns seconds.
Backoff = float | Sequence[float] | Callable[[BaseException, Any], float]
ExceptionTypes = tuple[type[BaseException], ...]

MAX_DELAY = 3600.0  # seconds


def exponential(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return ``2 ** attempt`` seconds, an hour at most, give or take a quarter.

    The jitter keeps jobs that failed together (a server that went away) from coming back together; the reasons
    are in "Exponential Backoff And Jitter" of the AWS Architecture Blog, 2015.
    """
    return min(MAX_DELAY, 2.0 ** min(attempt, 32)) * (0.75 + 0.5 * jitter())


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is to happen when a job raises."""

    max_attempts: int = 1
    backoff: Backoff | None = None
    retry_on: ExceptionTypes | None = None
    """Only these are tried again; ``None``: every ``Exception``."""

    no_retry_on: ExceptionTypes = ()
    """These never are, whatever ``retry_on`` says."""

    timeout: float | None = None
    """Seconds that one attempt may take; ``None``: no limit."""

    @classmethod
    def merged(cls, *layers: Mapping[str, Any]) -> Policy:
        """Return the policy of several layers of options, the weakest first; ``None`` means not given."""
        merged: dict[str, Any] = {}
        for layer in layers:
            merged |= {name: value for name, value in layer.items() if value is not None and name != "tags"}
        return cls(**{name: revive(name, value) for name, value in merged.items()})

    def wants_retry(self, error: BaseException, attempt: int) -> bool:
        """Whether attempt number ``attempt`` (from 1), ended by ``error``, is followed by another one."""
        if attempt >= self.max_attempts or not isinstance(error, Exception):
            return False
        if isinstance(error, self.no_retry_on):
            return False
        return self.retry_on is None or isinstance(error, self.retry_on)

    def delay(self, error: BaseException, attempt: int, result: Any) -> float:
        """Return the seconds between attempt number ``attempt`` and the next one."""
        match self.backoff:
            case None:
                return exponential(attempt)
            case int() | float() as seconds:
                return max(0.0, float(seconds))
            case Sequence() as steps:
                return max(0.0, float(steps[min(attempt, len(steps)) - 1]))
            case function:
                return max(0.0, float(function(error, result)))


def revive(name: str, value: Any) -> Any:
    """Turn an option's stored form (dotted paths, lists) into what ``Policy`` takes.

    Raises ``ImportError`` for a path that leads nowhere, ``ValueError`` for one that leads to something else.
    """
    if name in ("retry_on", "no_retry_on"):
        value = tuple(import_string(item) if isinstance(item, str) else item for item in value)
    elif name == "backoff" and isinstance(value, str):
        value = import_string(value)
    if problem := option_problem(name, value):
        raise ValueError(problem)
    return value


def stored(name: str, value: Any) -> Any:
    """Turn an option into JSON values; exception types and functions become dotted paths.

    Raises ``ValueError`` for a function or type that a worker could not import by its path.
    """
    if name in ("retry_on", "no_retry_on"):
        return [_path(name, item) for item in value]
    if name == "backoff" and (callable(value) or isinstance(value, str)):
        return _path(name, value)
    return list(value) if isinstance(value, tuple) else value


def _path(name: str, item: Any) -> str:
    path = item if isinstance(item, str) else f"{item.__module__}.{getattr(item, '__qualname__', '')}"
    try:
        found = import_string(path)
    except ImportError:
        found = None
    if found is None or (found is not item and item != path):
        raise ValueError(f"{name}: a worker cannot import {item!r}. Define it by name at the top level of a module.")
    return path


def option_problem(name: str, value: Any) -> str | None:
    """Say what is wrong with an option of a task, or return ``None``."""
    wanted = _WANTED[name]
    return None if wanted[0](value) else f"{name} is {short(value)}; it must be {wanted[1]}."


def _is_backoff(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_delay(item) for item in value)
    return callable(value) or isinstance(value, str) or _is_delay(value)


def _is_delay(value: Any) -> bool:
    return is_seconds(value) or (is_number(value) and value == 0)


def _are_exceptions(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(item, str) or (isinstance(item, type) and issubclass(item, BaseException)) for item in value
    )


_WANTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_attempts": (lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 1, "a whole number, 1 or more"),
    "backoff": (_is_backoff, "seconds, a list of seconds, or a function of the exception and the task result"),
    "retry_on": (_are_exceptions, "a list of exception types"),
    "no_retry_on": (_are_exceptions, "a list of exception types"),
    "timeout": (is_seconds, "a number of seconds above 0, a hundred years at most"),
    "tags": (
        lambda v: isinstance(v, list | tuple) and len(v) <= MAX_TAGS and all(is_name(item) for item in v),
        f"a list of at most {MAX_TAGS} words, each {NAME}",
    ),
}

#: What the ``@task`` decorator, ``using()`` and ``LOCO["TASKS"][path]`` may set.
TASK_OPTIONS = tuple(_WANTED)
