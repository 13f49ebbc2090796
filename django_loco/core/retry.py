"""When a failed job is tried again: pure functions and one value, no clock and no I/O."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.utils.module_loading import import_string

from .backoff import exponential_delay
from .validation import MAX_TAGS, NAME, is_name, is_number, is_seconds, short

#: Seconds; a list of them (the last one repeats); or a function of the exception and the task result that
#: returns seconds.
Backoff = float | Sequence[float] | Callable[[BaseException, Any], float]
#: Types, or the paths of some that this process has not imported.
ExceptionTypes = tuple[type[BaseException] | str, ...]

MAX_DELAY = 3600.0  # seconds
#: The options that are types of exceptions.
EXCEPTIONS = ("retry_on", "no_retry_on")


def exponential(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return ``2 ** attempt`` seconds, an hour at most, give or take a quarter."""
    return exponential_delay(attempt, first=2.0, longest=MAX_DELAY, jitter=jitter)


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
        return cls(**merged)

    def wants_retry(self, error: BaseException, attempt: int) -> bool:
        """Whether attempt number ``attempt`` (from 1), ended by ``error``, is followed by another one."""
        if attempt >= self.max_attempts or not isinstance(error, Exception):
            return False
        if _is_one_of(error, self.no_retry_on):
            return False
        return self.retry_on is None or _is_one_of(error, self.retry_on)

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


def _is_one_of(error: BaseException, types: ExceptionTypes) -> bool:
    """Whether ``error`` is of one of ``types``; of those that are names, by the names of its own types."""
    paths = {path_of(kind) for kind in type(error).__mro__} if any(isinstance(kind, str) for kind in types) else set()
    return any(kind in paths if isinstance(kind, str) else isinstance(error, kind) for kind in types)


def revive(name: str, value: Any) -> Any:
    """Turn an option as settings and code write it (dotted paths, lists) into what ``Policy`` takes.

    Not for what comes from the store, since it imports what a path names: see ``stored_options``. Raises
    ``ImportError`` for a path that leads nowhere, ``ValueError`` for one that leads to something else.
    """
    if name in EXCEPTIONS:
        value = tuple(import_string(item) if isinstance(item, str) else item for item in value)
        if not all(map(is_exception_type, value)):
            raise ValueError(f"{name} is {value!r}; it must be {_WANTED[name][1]}.")
    elif name == "backoff" and isinstance(value, str):
        value = import_string(value)
    if problem := option_problem(name, value):
        raise ValueError(problem)
    return value


def is_exception_type(value: object) -> bool:
    """Whether ``value`` is a type of exceptions."""
    return isinstance(value, type) and issubclass(value, BaseException)


def path_of(item: Any) -> str:
    """Return the dotted path under which ``item``, a function or a type, was defined."""
    return f"{getattr(item, '__module__', '')}.{getattr(item, '__qualname__', '')}"


#: The functions marked with ``backoff_function``, by their paths.
_marked: dict[str, Callable[..., float]] = {}

Function = TypeVar("Function", bound=Callable[..., float])


def backoff_function(function: Function) -> Function:
    """Let ``using(backoff=function)`` name ``function``, and return it: ``@backoff_function`` above it.

    Such a job carries the function's name, and a worker calls by name only what is marked. What a task declares,
    ``@task(backoff=function)``, is marked by that.
    """
    _marked[path_of(function)] = function
    return function


def marked_backoff(path: str) -> Callable[..., float] | None:
    """Return the function of that path which is marked with ``backoff_function`` in a module that has been imported."""
    return _marked.get(path)


def option_problem(name: str, value: Any) -> str | None:
    """Say what is wrong with an option of a task, or return ``None``."""
    wanted = _WANTED[name]
    return None if wanted[0](value) else f"{name} is {short(value)}; it must be {wanted[1]}."


def _is_backoff(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_delay(item) for item in value)
    return callable(value) or _is_path(value) or _is_delay(value)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "." in value


def _is_delay(value: Any) -> bool:
    return is_seconds(value) or (is_number(value) and value == 0)


def _are_exceptions(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(item, str) or (isinstance(item, type) and issubclass(item, BaseException)) for item in value
    )


_WANTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_attempts": (lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 1, "a whole number, 1 or more"),
    "backoff": (_is_backoff, "seconds, a list of seconds, or a function of the exception and the task result"),
    "retry_on": (_are_exceptions, "a list of exception types, or of their dotted paths"),
    "no_retry_on": (_are_exceptions, "a list of exception types, or of their dotted paths"),
    "timeout": (is_seconds, "a number of seconds above 0, a hundred years at most"),
    "tags": (
        lambda v: isinstance(v, list | tuple) and len(v) <= MAX_TAGS and all(is_name(item) for item in v),
        f"a list of at most {MAX_TAGS} words, each {NAME}",
    ),
}

#: What the ``@task`` decorator, ``using()`` and ``LOCO["TASKS"][path]`` may set.
TASK_OPTIONS = tuple(_WANTED)
