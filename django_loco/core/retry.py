"""When a failed job is tried again: pure functions and one value, no clock and no I/O."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from .backoff import exponential_delay

#: Seconds; a list of them (the last one repeats); or a function of the exception and the task result that
#: returns seconds.
Backoff = float | Sequence[float] | Callable[[BaseException, Any], float]
#: Types, or the paths of some that this process has not imported.
ExceptionTypes = tuple[type[BaseException] | str, ...]

MAX_DELAY_SECONDS = 3600.0  # seconds


def exponential(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return ``2 ** attempt`` seconds, an hour at most, give or take a quarter."""
    return exponential_delay(attempt, first=2.0, longest=MAX_DELAY_SECONDS, jitter=jitter)


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
        """Return the policy of several layers of options, the weakest first.

        ``None`` means not given. Options that are no fields of a policy are left out.
        """
        names = {field.name for field in fields(cls)}
        merged: dict[str, Any] = {}
        for layer in layers:
            merged |= {name: value for name, value in layer.items() if value is not None and name in names}
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
