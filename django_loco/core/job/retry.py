"""Decides whether and when a failed job is retried. No clock and no I/O."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..backoff import exponential_delay
from ..imports import path_of

#: The delay before a retry: seconds, a list of seconds whose last item repeats, or a function of the exception and the
#: task result that returns seconds.
BackoffOption = float | Sequence[float] | Callable[[BaseException, Any], float]
#: Exception types, and the dotted paths of types that this process has not imported.
ExceptionTypes = tuple[type[BaseException] | str, ...]

MAX_DELAY_SECONDS = 3600.0  # seconds


def exponential(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return ``2 ** attempt`` seconds, an hour at most, give or take a quarter."""
    return exponential_delay(attempt, first=2.0, longest=MAX_DELAY_SECONDS, jitter=jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of a job that control its retries, its time limit and its log, with all defaults."""

    max_attempts: int = 1
    backoff: BackoffOption | None = None
    retry_on: ExceptionTypes | None = None
    """The exceptions that are retried; ``None``: every ``Exception``."""

    no_retry_on: ExceptionTypes = ()
    """The exceptions that are never retried, even if ``retry_on`` includes them."""

    timeout: float | None = None
    """The seconds that one attempt may take; ``None``: no limit."""

    keep_log: bool | str = False
    """The level from which on its log lines are kept; ``True``: the usual one; ``False``: none are."""

    @classmethod
    def merged(cls, *layers: Mapping[str, Any]) -> Policy:
        """Return the policy of several layers of options, the weakest first.

        An option that is ``None`` is not set. Options that a policy has no field for are ignored.
        """
        names = {field.name for field in fields(cls)}
        merged: dict[str, Any] = {}
        for layer in layers:
            merged |= {name: value for name, value in layer.items() if value is not None and name in names}
        return cls(**merged)

    def wants_retry(self, error: BaseException, attempt: int) -> bool:
        """Return whether attempt number ``attempt``, counted from 1, is retried after ``error``."""
        if attempt >= self.max_attempts or not isinstance(error, Exception):
            return False
        if _is_one_of(error, self.no_retry_on):
            return False
        return self.retry_on is None or _is_one_of(error, self.retry_on)

    def delay(self, error: BaseException, attempt: int, result: Any) -> float:
        """Return the seconds to wait after attempt number ``attempt``. ``result`` is passed to a back-off function."""
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
    """Return whether ``error`` is an instance of one of ``types``. Paths are compared with the paths of its classes."""
    paths = {path_of(kind) for kind in type(error).__mro__} if any(isinstance(kind, str) for kind in types) else set()
    return any(kind in paths if isinstance(kind, str) else isinstance(error, kind) for kind in types)


def is_exception_type(value: object) -> bool:
    """Return whether ``value`` is an exception type."""
    return isinstance(value, type) and issubclass(value, BaseException)


#: The functions marked with ``backoff_function``, by path.
_marked: dict[str, Callable[..., float]] = {}

Function = TypeVar("Function", bound=Callable[..., float])


def backoff_function(function: Function) -> Function:
    """Allow ``using(backoff=function)``, and return ``function``. Use it as a decorator: ``@backoff_function``.

    Such a job stores the path of the function, and a worker calls only marked functions by path. A function that a task
    declares, ``@task(backoff=function)``, needs no mark.
    """
    _marked[path_of(function)] = function
    return function


def marked_backoff(path: str) -> Callable[..., float] | None:
    """Return the marked function at ``path``; ``None`` if there is none in the modules that are imported."""
    return _marked.get(path)
