"""``@task``, and the class ``LocoTask`` that it makes.

``django.tasks.task`` makes the same tasks where it passes extra options through: on Django 6.1, and in the backport for
5.2. This decorator works on every supported version and with any backend in ``TASKS``, and it is typed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, Never, ParamSpec, Self, TypeVar, Unpack, overload

from ..core.compat import (
    DEFAULT_TASK_BACKEND_ALIAS,
    DEFAULT_TASK_QUEUE_NAME,
    BaseTaskBackend,
    InvalidTask,
    InvalidTaskBackend,
    Task,
    TaskContext,
    task_backends,
)
from ..core.imports import path_of
from ..core.job.retry import BackoffOption, backoff_function
from ..core.task_options import CALL_OPTIONS, STORED_OPTIONS, TASK_OPTIONS, CallOptions, TaskOptions
from ..core.uniqueness import rule_of
from ..core.validation import short
from ..exceptions import LocoConfigurationError
from ..jobs.operations.attribute_hints import attribute_hint
from ..jobs.operations.workflows.signatures import Signature
from .aliases import register
from .enqueueing.limit_key import limit_options_of, limit_rule_of
from .hints import option_hint
from .job_result import JobResult, fill
from .tasks_setting import problem_of

P = ParamSpec("P")
R = TypeVar("R")

if TYPE_CHECKING:

    class _Task(Task[P, R]):
        # The results of the backend of django-loco.
        def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobResult[P, R]: ...
        async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobResult[P, R]: ...
        def get_result(self, result_id: str) -> JobResult[P, R]: ...
        async def aget_result(self, result_id: str) -> JobResult[P, R]: ...

else:
    # At run time Django's Task takes no type parameters; the backport's does.
    class _Task(Task, Generic[P, R]):
        __slots__ = ()


class WrongBackend(LocoConfigurationError, InvalidTaskBackend):
    """The alias of a task has no valid backend in ``TASKS``. Also an ``InvalidTaskBackend``, which Django raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocoTask(_Task[P, R]):
    """A ``django.tasks.Task`` with the options of django-loco. ``@task`` makes it; ``using()`` returns a changed copy.

    An option that is ``None`` has its default. ``LOCO["TASKS"][path]`` overrides it, and ``using()`` overrides both.
    """

    # Django 6.0 gives these no defaults.
    priority: int = 0
    backend: str = DEFAULT_TASK_BACKEND_ALIAS
    queue_name: str = DEFAULT_TASK_QUEUE_NAME
    run_after: datetime | None = None
    takes_context: bool = False

    # The options of django-loco: see ``core.task_options``.
    max_attempts: int | None = None
    backoff: BackoffOption | None = None
    retry_on: tuple[type[BaseException], ...] | None = None
    no_retry_on: tuple[type[BaseException], ...] | None = None
    timeout: float | None = None
    expires: float | timedelta | datetime | None = None
    retention: float | str | timedelta | Mapping[str, float | str | timedelta] | None = None
    tags: tuple[str, ...] | None = None
    limits: tuple[str, ...] | None = None
    limit_key: str | Callable[..., Any] | Mapping[str, str | Callable[..., Any]] | None = None
    keep_log: bool | str | None = None
    unique: bool | tuple[str, ...] | Callable[..., Any] | None = None
    unique_until: Literal["finished", "started"] | None = None
    unique_for: float | timedelta | None = None
    on_duplicate: Literal["keep", "replace", "rerun", "raise"] | None = None
    max_wait: float | timedelta | None = None
    aliases: tuple[str, ...] = ()
    description: str = ""

    metadata: Mapping[str, Any] | None = None
    """Set by ``using(metadata=...)``: JSON that travels with the job, and that the job can change."""

    unique_key: str | None = None
    """Set by ``using(unique_key=...)``: the text that stands for the call, in place of its arguments."""

    run_after_delay: timedelta | None = None
    """The time from ``enqueue()`` until the job may run, if ``using()`` was given a ``timedelta``."""

    overrides: tuple[str, ...] = ()
    """The names of the options that ``using()`` changed and that are stored with the job."""

    if not TYPE_CHECKING:  # A type checker finds unknown names by itself.

        def __new__(cls, **options: Any) -> Self:
            """Raises ``TypeError`` for an unknown option; the message says what to write instead."""
            if not all(name in cls.__dataclass_fields__ for name in options):
                _require_options(options, cls.__dataclass_fields__, TASK_OPTIONS, "@task")
            return object.__new__(cls)

        def __getattr__(self, name: str) -> Never:
            # While a task is copied, it has no function yet, and so no path.
            function = None if name == "func" else getattr(self, "func", None)
            path = self.module_path if inspect.isroutine(function) else type(self).__name__
            raise AttributeError(
                f"{path} has no attribute {name!r}.{attribute_hint(name, 'task')}", name=name, obj=self
            )

    def __post_init__(self) -> None:
        _require_function(self.func)
        for name, option in TASK_OPTIONS.items():
            value = getattr(self, name)
            if value is None:
                continue
            if problem := option.problem(name, value):
                raise InvalidTask(f"{self.module_path}: {problem}")
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        self._require_keys()
        if callable(self.backoff) and "backoff" not in self.overrides:
            backoff_function(self.backoff)
        register(self.module_path, self.aliases or ())
        object.__setattr__(self, "description", self.description or _first_line(self.func.__doc__))
        # super() does not work here, because dataclass(slots=True) creates a new class.
        with self._backend_required():
            Task.__post_init__(self)

    def _require_keys(self) -> None:
        try:
            rule_of(self)
            if self.limits is not None or self.limit_key is not None:
                limit_rule_of(self, *limit_options_of(self))
        except LocoConfigurationError:
            pass  # of the settings: the checks name each mistake, and enqueue() raises it
        except ValueError as error:
            raise InvalidTask(f"{self.module_path}: {error}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        """Let ``pickle`` find the function by its path, which leads to the task; Django does so from 6.1 on."""
        options = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "func"}
        return _unpickled, (type(self), self.func.__module__, self.func.__qualname__, options)

    @contextmanager
    def _backend_required(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if problem := problem_of(self.backend, self.module_path):
                raise WrongBackend(problem) from error
            if isinstance(error, InvalidTask) and "<locals>" in self.func.__qualname__:
                raise InvalidTask(
                    f"{path_of(self.func)} is inside of a function. Define it at the level of its module, where "
                    "workers find it by its path."
                ) from None
            raise

    def get_backend(self) -> BaseTaskBackend:
        """Return the backend, as Django does, but without an import at each call."""
        return task_backends[self.backend]

    def s(self, *args: P.args, **kwargs: P.kwargs) -> Signature:
        """Return this call as a part of a workflow. In a chain it also gets the result of the call before it."""
        return Signature(self, args, kwargs)

    def si(self, *args: P.args, **kwargs: P.kwargs) -> Signature:
        """Return this call as a part of a workflow, which takes no result."""
        return Signature(self, args, kwargs, is_immutable=True)

    def using(self, **options: Unpack[CallOptions]) -> Self:
        """Return a copy of this task with other options; an option that is ``None`` stays as it is.

        ``run_after`` is an aware ``datetime``, or a ``timedelta`` from the moment of ``enqueue()``.
        ``core.task_options.CallOptions`` lists the other options.

        Raises ``InvalidTask`` for an invalid value and ``TypeError`` for an unknown option.
        """
        _require_options(options, CALL_OPTIONS, CALL_OPTIONS, "using()")
        changes: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if stored := [name for name in changes if name in STORED_OPTIONS]:
            changes["overrides"] = tuple(dict.fromkeys((*self.overrides, *stored)))
        if "run_after" in changes:
            delay = changes["run_after"] if isinstance(changes["run_after"], timedelta) else None
            changes |= {"run_after_delay": delay, "run_after": None if delay is not None else changes["run_after"]}
        return replace(self, **changes)


def _unpickled(kind: type[LocoTask[..., Any]], module: str, name: str, options: Mapping[str, Any]) -> Task[..., Any]:
    found = getattr(import_module(module), name)
    task: Task[..., Any] = object.__new__(kind)
    fill(task, {**options, "func": found.func if isinstance(found, Task) else found})
    return task


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0].strip()


def _require_function(value: object) -> None:
    """Raise ``InvalidTask`` if ``value`` is no function. Django checks later that it is at the level of a module."""
    if isinstance(value, Task):
        raise InvalidTask(f"{value.module_path} is a task already. Write @task once, above all other decorators.")
    if not inspect.isroutine(value):
        raise InvalidTask(
            f"{short(value)} is no function. Write @task above a function of a module, with options by name: "
            "@task(max_attempts=3)."
        )


def _require_options(given: Iterable[str], allowed: Collection[str], choices: Iterable[str], caller: str) -> None:
    for name in given:
        if name not in allowed:
            raise TypeError(f"{caller} has no option {name!r}.{option_hint(name, list(choices))}")


@overload
def task(function: Callable[P, R], /) -> LocoTask[P, R]: ...
@overload
def task(
    *, takes_context: Literal[True], **options: Unpack[TaskOptions]
) -> Callable[[Callable[Concatenate[TaskContext[Any, Any], P], R]], LocoTask[P, R]]: ...
@overload
def task(
    *, takes_context: Literal[False] = ..., **options: Unpack[TaskOptions]
) -> Callable[[Callable[P, R]], LocoTask[P, R]]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a module-level function, sync or async: ``@task`` or ``@task(max_attempts=5, ...)``.

    ``core.task_options`` lists the options, with their types and defaults. An option that is ``None`` has its default.

    Raises ``InvalidTask`` for an invalid value and ``TypeError`` for an unknown option.
    """
    for name in ("run_after", "metadata", "unique_key"):
        if name in options:
            raise TypeError(f"{name} cannot be given to @task; use .using({name}=...) where you enqueue.")
    given = {name: value for name, value in options.items() if value is not None}

    def decorate(function: Callable[..., Any]) -> LocoTask[..., Any]:
        return LocoTask(func=function, **given)

    return decorate if function is None else decorate(function)


def accept_task_options() -> None:
    """Let Django's own backends make a ``LocoTask`` of a decorated function, and ignore its options.

    Projects choose ``DummyBackend`` or ``ImmediateBackend`` for their tests. ``django.tasks.task`` would refuse
    ``@task(max_attempts=5)`` on them, and no module of tasks could be imported.
    """
    package = BaseTaskBackend.__module__.rpartition(".")[0]
    for module, name in (("dummy", "DummyBackend"), ("immediate", "ImmediateBackend")):
        backend = getattr(import_module(f"{package}.{module}"), name)
        if backend.task_class is Task:
            backend.task_class = LocoTask
