"""``@task`` with everything django-loco can do for a job, and ``enqueue_many``.

``django.tasks.task`` makes the same tasks where it passes extra options through (Django 6.1, and the backport
on 5.2). This one does so on every supported version, is typed, and works whichever backend ``TASKS`` names.
``InvalidTask``, ``TaskResult`` and ``TaskResultDoesNotExist`` are Django's or the backport's, whichever is in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, Never, ParamSpec, Self, TypeVar, overload

from asgiref.sync import sync_to_async

from ..core.compat import (
    DEFAULT_TASK_BACKEND_ALIAS,
    DEFAULT_TASK_QUEUE_NAME,
    InvalidTask,
    InvalidTaskBackend,
    Task,
    TaskContext,
    TaskResult,
    TaskResultDoesNotExist,
)
from ..core.retry import EXCEPTIONS, TASK_OPTIONS, Backoff, backoff_function, option_problem
from ..exceptions import LocoConfigurationError
from . import aliases
from .hints import instead_of_attribute, instead_of_option
from .setting import fault_of

__all__ = [
    "InvalidTask",
    "LocoTask",
    "TaskResult",
    "TaskResultDoesNotExist",
    "aenqueue_many",
    "backoff_function",
    "enqueue_many",
    "task",
]

P = ParamSpec("P")
R = TypeVar("R")

#: What is no option of ``@task``, though it is a field of a task.
_INTERNAL = ("func", "run_after", "run_after_delay", "overrides")
#: The first options of ``@task`` to be named where one is unknown.
_DECLARED_OPTIONS = ("queue_name", "priority", "takes_context", "backend", *TASK_OPTIONS)
#: What ``using()`` takes beside ``TASK_OPTIONS``.
_PLAIN_OPTIONS = ("priority", "queue_name", "run_after", "backend")

if TYPE_CHECKING:

    class _Task(Task[P, R]): ...

else:
    # Django's own Task takes no type parameters at run time; the backport's does.
    class _Task(Task, Generic[P, R]):
        __slots__ = ()


class WrongBackend(LocoConfigurationError, InvalidTaskBackend):
    """No backend can be made of the alias in ``TASKS`` that a task names; Django raises an ``InvalidTaskBackend``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocoTask(_Task[P, R]):
    """A ``django.tasks.Task`` with options. Made by ``@task``; ``using()`` returns a changed copy.

    An option that is ``None`` was not given: the default holds. Options in ``LOCO["TASKS"][path]`` are
    stronger than these, those given to ``using()`` are stronger still.
    """

    # Django 6.0 gives these no defaults.
    priority: int = 0
    backend: str = DEFAULT_TASK_BACKEND_ALIAS
    queue_name: str = DEFAULT_TASK_QUEUE_NAME
    run_after: datetime | None = None
    takes_context: bool = False

    max_attempts: int | None = None
    """How often it is tried before it has failed; by default ``LOCO["MAX_ATTEMPTS"]``, which is 1."""

    backoff: Backoff | None = None
    """Seconds before the next attempt: a number, a list, or a function of the exception and the task result.
    By default ``2 ** attempt`` with jitter, an hour at most."""

    retry_on: tuple[type[BaseException], ...] | None = None
    """Only these exceptions are tried again; by default every ``Exception``."""

    no_retry_on: tuple[type[BaseException], ...] | None = None
    """These never are."""

    timeout: float | None = None
    """Seconds that one attempt may take; by default no limit."""

    tags: tuple[str, ...] | None = None
    """Words by which a worker can choose jobs (``--tags``)."""

    aliases: tuple[str, ...] = ()
    """Paths at which this task was before: jobs that were stored under them run as this one."""

    run_after_delay: timedelta | None = None
    """Set by ``using(run_after=timedelta(...))``: how long after ``enqueue()`` it may run."""

    overrides: tuple[str, ...] = ()
    """The options that ``using()`` changed; they travel with the job."""

    if not TYPE_CHECKING:  # The type checker tells by itself.

        def __new__(cls, **options: Any) -> Self:
            """Raises ``TypeError`` for an option that does not exist, and says what to write instead."""
            if not all(name in cls.__dataclass_fields__ for name in options):
                _require_known(options, (*_DECLARED_OPTIONS, *cls.__dataclass_fields__), "@task")
            return object.__new__(cls)

        def __getattr__(self, name: str) -> Never:
            raise AttributeError(
                f"{self.module_path} has no attribute {name!r}.{instead_of_attribute(name)}", name=name, obj=self
            )

    def __post_init__(self) -> None:
        for name in TASK_OPTIONS:
            value = getattr(self, name)
            if value is None:
                continue
            problem = option_problem(name, value)
            if (
                problem is None
                and name in EXCEPTIONS
                and any(isinstance(item, str) and "." not in item for item in value)
            ):
                problem = f"{name} is {value!r}; it must be a list of exception types, or of their dotted paths."
            if problem:
                raise InvalidTask(f"{self.module_path}: {problem}")
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if callable(self.backoff) and "backoff" not in self.overrides:
            backoff_function(self.backoff)
        self._register_aliases()
        # Not super(): it does not work in a class that dataclass(slots=True) has made anew.
        with self._backend_required():
            Task.__post_init__(self)

    @contextmanager
    def _backend_required(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if fault := fault_of(self.backend, self.module_path):
                raise WrongBackend(fault) from error
            raise

    def _register_aliases(self) -> None:
        given: Any = self.aliases
        if not isinstance(given, list | tuple) or not all(map(_is_path, given)):
            raise InvalidTask(
                f"{self.module_path}: aliases is {given!r}; it must be a list of dotted paths where it was before."
            )
        if given:
            object.__setattr__(self, "aliases", tuple(given))
            aliases.register(self.module_path, given)

    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: datetime | timedelta | None = None,
        backend: str | None = None,
        max_attempts: int | None = None,
        backoff: Backoff | None = None,
        retry_on: Sequence[type[BaseException]] | None = None,
        no_retry_on: Sequence[type[BaseException]] | None = None,
        timeout: float | None = None,
        tags: Sequence[str] | None = None,
        **unknown: Never,
    ) -> Self:
        """Return this task with other defaults; what is ``None`` stays as it is.

        ``run_after`` may be a ``timedelta``: it counts from the moment of ``enqueue()``. Raises ``InvalidTask``, and
        ``TypeError`` for an option that does not exist.
        """
        _require_known(unknown, (*_PLAIN_OPTIONS, *TASK_OPTIONS), "using()")
        options = {
            "max_attempts": max_attempts,
            "backoff": backoff,
            "retry_on": retry_on,
            "no_retry_on": no_retry_on,
            "timeout": timeout,
            "tags": tags,
        }
        changes: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if changes:
            changes["overrides"] = tuple(dict.fromkeys((*self.overrides, *changes)))
        if isinstance(run_after, timedelta):
            changes |= {"run_after_delay": run_after, "run_after": None}
        elif run_after is not None:
            changes |= {"run_after_delay": None, "run_after": run_after}
        plain = {"priority": priority, "queue_name": queue_name, "backend": backend}
        changes |= {name: value for name, value in plain.items() if value is not None}
        return replace(self, **changes)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "." in value and all(part.isidentifier() for part in value.split("."))


def _require_known(given: Iterable[str], known: Sequence[str], where: str) -> None:
    for name in given:
        if name not in known:
            shown = [option for option in known if option not in _INTERNAL]
            raise TypeError(f"{where} has no option {name!r}.{instead_of_option(name, list(dict.fromkeys(shown)))}")


@overload
def task(function: Callable[P, R], /) -> LocoTask[P, R]: ...
@overload
def task(
    *,
    takes_context: Literal[True],
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    max_attempts: int | None = ...,
    backoff: Backoff | None = ...,
    retry_on: Sequence[type[BaseException]] | None = ...,
    no_retry_on: Sequence[type[BaseException]] | None = ...,
    timeout: float | None = ...,
    tags: Sequence[str] | None = ...,
    aliases: Sequence[str] = ...,
) -> Callable[[Callable[Concatenate[TaskContext[Any, Any], P], R]], LocoTask[P, R]]: ...
@overload
def task(
    *,
    takes_context: Literal[False] = ...,
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    max_attempts: int | None = ...,
    backoff: Backoff | None = ...,
    retry_on: Sequence[type[BaseException]] | None = ...,
    no_retry_on: Sequence[type[BaseException]] | None = ...,
    timeout: float | None = ...,
    tags: Sequence[str] | None = ...,
    aliases: Sequence[str] = ...,
) -> Callable[[Callable[P, R]], LocoTask[P, R]]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a module-level function, sync or async: ``@task`` or ``@task(max_attempts=5, ...)``.

    Args:
        priority: -100 to 100; the higher, the sooner.
        queue_name: one of ``TASKS[backend]["QUEUES"]``.
        backend: the alias in ``TASKS``.
        takes_context: whether the function's first argument, ``context``, is a ``JobContext``.
        max_attempts, backoff, retry_on, no_retry_on, timeout, tags, aliases: see ``LocoTask``.

    Raises ``InvalidTask`` for options out of range and ``TypeError`` for unknown ones.
    """
    if "run_after" in options:
        raise TypeError("run_after cannot be given to @task; use .using(run_after=...) where you enqueue.")

    def decorate(function: Callable[..., Any]) -> LocoTask[..., Any]:
        return LocoTask(func=function, **options)

    return decorate if function is None else decorate(function)


Call = tuple[Any, ...] | Mapping[str, Any] | Any


def enqueue_many(task: Task[..., R], calls: Iterable[Call]) -> list[TaskResult[..., R]]:
    """Enqueue one job per item of ``calls``, all or none, in one round trip to the queue.

    An item is a tuple of positional arguments, a dict of keyword arguments, or else the one argument:
    ``enqueue_many(send, [1, 2])``, ``enqueue_many(move, [(1, "a"), {"pk": 2, "to": "b"}])``.

    Returns the results in the order of ``calls``. Raises what ``task.enqueue()`` raises, and as it does.
    """
    backend = task.get_backend()
    if not hasattr(backend, "enqueue_many"):
        raise LocoConfigurationError(
            f"enqueue_many() needs a task on django_loco.backend.LocoBackend; "
            f"TASKS[{task.backend!r}]['BACKEND'] is {type(backend).__module__}.{type(backend).__qualname__}."
        )
    return backend.enqueue_many(task, [_call(item) for item in calls])  # type: ignore[no-any-return]


async def aenqueue_many(task: Task[..., R], calls: Iterable[Call]) -> list[TaskResult[..., R]]:
    """``enqueue_many`` for async code: never blocks the event loop."""
    return await sync_to_async(enqueue_many, thread_sensitive=True)(task, calls)


def _call(item: Call) -> tuple[Sequence[Any], Mapping[str, Any]]:
    match item:
        case tuple():
            return item, {}
        case Mapping():
            return (), item
        case _:
            return (item,), {}
