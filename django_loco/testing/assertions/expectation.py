"""Describes a job that a test expects, and tells how another job differs from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.conf import settings
from django.utils import timezone

from ...core.compat import Task, TaskResult
from ...core.job import aware
from ...core.serialization import decode_call, encode_call
from ...core.validation import short
from ...exceptions import InvalidArguments, LocoConfigurationError

#: By how much a ``run_after`` may differ from an expected one. A ``datetime`` is often computed a moment earlier, and a
#: job whose arguments a duplicate has replaced was enqueued a moment earlier.
TOLERANCE = timedelta(seconds=1)


class AnyTime(Enum):
    """The default of ``run_after``. It is not ``None``, which means that a job may run at once."""

    ANY_TIME = "any"


ANY_TIME = AnyTime.ANY_TIME
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Expectation:
    """A call of a task as a test describes it. Made by ``of``."""

    task: Task[..., Any]
    call: str
    """The description for people."""

    arguments: dict[str, Any] | None
    """The arguments by name, as a job gets them; ``None``: any."""

    is_partial: bool
    """Whether a job may have further arguments."""

    queue: str | None
    run_after: datetime | timedelta | AnyTime | None

    @classmethod
    def of(
        cls,
        task: Task[..., Any],
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        partial: bool | Mapping[str, Any],
        queue: str | None,
        run_after: datetime | timedelta | AnyTime | None,
    ) -> Expectation:
        """Return the expectation of ``assert_enqueued`` with these arguments.

        Raises ``InvalidArguments`` and ``LocoConfigurationError``.
        """
        require_findable(task)
        if args is not None and not isinstance(args, list | tuple):
            raise InvalidArguments(f"args is {short(args)}; it must be a list or a tuple of positional arguments.")
        if kwargs is not None and not isinstance(kwargs, Mapping):
            raise InvalidArguments(f"kwargs is {short(kwargs)}; it must be a dict of keyword arguments.")
        if not isinstance(partial, bool | Mapping):
            raise LocoConfigurationError(
                f"partial is {short(partial)}; it must be True, False or a dict of arguments that the call must have."
            )
        _require_time(run_after)
        if isinstance(partial, Mapping):
            kwargs, partial = {**(kwargs or {}), **partial}, True
        arguments = None
        if args is not None or kwargs is not None:
            given = decode_call(encode_call(task.module_path, args or (), kwargs or {}))
            named = by_name(task, *given, is_partial=True)
            arguments = named if partial else _complete(task, *given)
        call = call_text(task.module_path, args or (), kwargs or {}, is_partial=partial or arguments is None)
        return cls(task, call, arguments, partial, queue, run_after)

    def __str__(self) -> str:
        where = "" if self.queue is None else f" on the queue {self.queue!r}"
        if self.run_after is ANY_TIME:
            return f"{self.call}{where}"
        return f"{self.call}{where} with run_after {_time_text(self.run_after)}"

    def matches(self, result: TaskResult[..., Any]) -> bool:
        """Return whether ``result`` is the expected job."""
        return self.is_of_task(result) and not self.differences(result)

    def is_of_task(self, result: TaskResult[..., Any]) -> bool:
        """Return whether ``result`` is a job of the expected task."""
        return result.task.module_path == self.task.module_path

    def differences(self, result: TaskResult[..., Any]) -> list[str]:
        """Return how ``result``, a job of the same task, differs from the expected job."""
        found = [] if self.arguments is None else self._of_arguments(self.arguments, result)
        if self.queue not in (None, result.task.queue_name):
            found.append(f"queue is {result.task.queue_name!r}, not {self.queue!r}")
        if not self._is_due_as_expected(result):
            found.append(f"run_after is {self._due_text(result)}, not {_time_text(self.run_after)}")
        return found

    def _of_arguments(self, wanted: dict[str, Any], result: TaskResult[..., Any]) -> list[str]:
        actual = by_name(self.task, result.args, result.kwargs)
        names = wanted if self.is_partial else {**actual, **wanted}
        differences = (_difference(name, actual.get(name, _NOTHING), wanted.get(name, _NOTHING)) for name in names)
        return [*filter(None, differences)]

    def _due_text(self, result: TaskResult[..., Any]) -> str:
        actual = result.task.run_after
        if actual is not None and isinstance(self.run_after, timedelta):
            return f"{_delay_of(result, actual)} after the job was enqueued"
        return _time_text(actual)

    def _is_due_as_expected(self, result: TaskResult[..., Any]) -> bool:
        actual, wanted = result.task.run_after, self.run_after
        if isinstance(wanted, AnyTime):
            return True
        if actual is None or wanted is None:
            return actual is wanted
        if isinstance(wanted, timedelta):
            return abs(_delay_of(result, actual) - wanted) <= TOLERANCE
        return abs(aware(actual) - aware(wanted)) <= TOLERANCE


def by_name(task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, is_partial: bool = False) -> Any:
    """Return the arguments of a call by name, with defaults unless it ``is_partial``.

    Raises ``InvalidArguments`` if the task has no such parameter.
    """
    try:
        signature = inspect.signature(task.func, follow_wrapped=False)
    except (TypeError, ValueError):  # a C function without a signature
        return {**{f"argument {number}": value for number, value in enumerate(args, 1)}, **kwargs}
    first = (None,) if task.takes_context else ()
    try:
        bound = (signature.bind_partial if is_partial else signature.bind)(*first, *args, **kwargs)
    except TypeError as error:
        raise InvalidArguments(f"the arguments do not fit {task.module_path}{signature}: {error}.") from None
    if not is_partial:
        bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[len(first) :]:
        found |= _one_by_one(signature, name, value)
    return found


def _complete(task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the arguments of a call by name. Raises ``InvalidArguments`` if required arguments are missing."""
    try:
        return by_name(task, args, kwargs)
    except InvalidArguments as error:
        raise InvalidArguments(f"{error} If they are some of the arguments, add partial=True.") from None


def _one_by_one(signature: inspect.Signature, name: str, value: Any) -> dict[str, Any]:
    """Return an argument by name. ``*args`` and ``**kwargs`` are split up, so that some of them can be compared."""
    kind = signature.parameters[name].kind
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return {f"{name}[{number}]": each for number, each in enumerate(value)}
    if kind is inspect.Parameter.VAR_KEYWORD:
        # A positional-only parameter may have the same name.
        return {f"{name}[{key!r}]" if key in signature.parameters else key: each for key, each in value.items()}
    return {name: value}


def call_text(path: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_partial: bool = False) -> str:
    """Return a call as Python code. With ``is_partial`` it ends with an ellipsis."""
    given = [*map(short, args), *(f"{name}={short(value)}" for name, value in kwargs.items())]
    return f"{path}({', '.join([*given, '...'] if is_partial else given)})"


def require_task(task: object) -> None:
    """Raise ``LocoConfigurationError`` unless ``task`` is a task."""
    if not isinstance(task, Task):
        raise LocoConfigurationError(f"{short(task)} is not a task. Pass the function that is decorated with @task.")


def require_findable(task: Task[..., Any]) -> None:
    """Raise ``LocoConfigurationError`` unless ``task`` is a task whose jobs can be found."""
    require_task(task)
    backend = task.get_backend()
    if not hasattr(backend, "enqueue_many"):
        raise LocoConfigurationError(
            f"TASKS[{task.backend!r}]['BACKEND'] is {type(backend).__module__}.{type(backend).__qualname__}. "
            "Only jobs of django_loco.backend.LocoBackend can be found."
        )


def _require_time(run_after: object) -> None:
    """Raise ``LocoConfigurationError`` if ``run_after`` cannot be a time of a job."""
    if run_after is None or isinstance(run_after, timedelta | AnyTime):
        return
    if not isinstance(run_after, datetime) or (settings.USE_TZ and timezone.is_naive(run_after)):
        raise LocoConfigurationError(
            f"run_after is {short(run_after)}; it must be a timedelta, an aware datetime or None."
        )


def _delay_of(result: TaskResult[..., Any], run_after: datetime) -> timedelta:
    assert result.enqueued_at is not None  # noqa: S101 - it is in a queue
    return aware(run_after) - aware(result.enqueued_at)


def _time_text(moment: datetime | timedelta | AnyTime | None) -> str:
    return "None" if moment is None else str(moment)


def _difference(name: str, there: object, expected: object) -> str:
    """Return how the argument ``name`` differs; empty if it does not."""
    if there == expected and type(there) is type(expected):
        return ""
    if there is _NOTHING:
        return f"{name} is missing"
    return f"{name} is {short(there)}, {'and not expected' if expected is _NOTHING else f'not {short(expected)}'}"
