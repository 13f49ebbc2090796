"""From a stored ``Job`` back to Django's ``Task`` and ``TaskResult``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from datetime import datetime
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils import timezone

from ..conf import LocoSettings, loco_settings
from ..core.compat import BaseTaskBackend, Task, TaskError, TaskResult, task_backends
from ..core.job import RUNNING, SUCCESSFUL, Job
from ..core.retry import Policy, is_exception_type
from ..core.serialization import decode, decode_call
from ..core.task_options import STORED_OPTIONS, revived
from ..exceptions import UnknownTask
from ..log.plain_text import one_line
from ..log.safe import get_logger
from ..queues.unreadable import NOT_OURS, record_of
from .aliases import target_of
from .decorator import LocoTask
from .loading import load_module
from .stored_options import restored

logger = get_logger("django_loco.worker")


def load_task(path: str) -> Task[..., Any]:
    """Return the task at ``path``, or the one that was there before it was renamed.

    Its module is imported if ``loading.may_be_imported`` allows it. Raises ``UnknownTask`` if there is none in this
    process, and what the module raises when it is imported.
    """
    try:
        return _loaded(path)
    except UnknownTask:
        renamed = target_of(path)
        if renamed is None:
            raise
    return _loaded(renamed)


def _loaded(path: str) -> Task[..., Any]:
    module, _, name = path.rpartition(".")
    try:
        found = _named(module, name)
    except ImportError as error:
        raise UnknownTask(
            f"{one_line(path)} cannot be imported here ({one_line(error)}). Deploy the code that has it, name it in "
            "the aliases of the task that has replaced it, or delete its jobs."
        ) from error
    if not isinstance(found, Task):
        raise UnknownTask(f"{path} is no task but {type(found).__name__} here. Is it still decorated with @task?")
    return found


def _named(module: str, name: str) -> object:
    """Return what the module has under ``name``: in its own dictionary, for its ``__getattr__`` may run anything."""
    try:
        return vars(load_module(module))[name]
    except KeyError:
        raise ImportError(f'Module "{module}" does not define a "{name}"') from None


def stand_in(path: str, backend: str) -> Task[..., Any]:
    """Return a task that shows the name ``path`` and cannot be called, for jobs whose task is not known here."""

    def missing(*args: Any, **kwargs: Any) -> None:
        raise UnknownTask(f"{path} cannot be imported here.")

    missing.__module__, _, missing.__name__ = path.rpartition(".")
    missing.__qualname__ = missing.__name__
    task: LocoTask[..., Any] = object.__new__(LocoTask)
    _fill(task, {field.name: field.default for field in fields(LocoTask)} | {"func": missing, "backend": backend})
    return task


class StoredError(TaskError):
    """The error of an attempt as the store tells of it: the path of its class imports no more than that of a task."""

    __slots__ = ()

    @property
    def exception_class(self) -> type[BaseException]:
        """The type of the exception.

        Raises ``ImportError`` if its module is neither imported nor may be, ``ValueError`` if it is no such type.
        """
        module, _, name = self.exception_class_path.rpartition(".")
        found = _named(module, name)
        if not is_exception_type(found):
            raise ValueError(f"{self.exception_class_path!r} does not reference a valid exception.")
        return cast("type[BaseException]", found)


def policy_of(task: Task[..., Any], job: Job) -> Policy:
    """Return what holds for ``job``: ``LOCO``'s defaults, the task's, ``LOCO["TASKS"]``, what ``using()`` gave."""
    loco = loco_settings()
    if job.options and (overrides := job.overrides):
        return _merged(task, job.task_path, loco, overrides)
    known_task, known_loco, policy = _policies.get(job.task_path, (None, None, None))
    if policy is None or known_task is not task or known_loco is not loco:
        policy = _merged(task, job.task_path, loco, {})
        _policies[job.task_path] = task, loco, policy
    return policy


#: The policies of jobs without options of their own, by task path, and what they were made of.
_policies: dict[str, tuple[Task[..., Any], LocoSettings, Policy]] = {}


def _merged(task: Task[..., Any], path: str, loco: LocoSettings, options: Mapping[str, Any]) -> Policy:
    restored = _restored(path, options)
    declared = {name: getattr(task, name, None) for name in STORED_OPTIONS}
    configured = loco.TASKS.get(path) or loco.TASKS.get(task.module_path, {})  # of a renamed task under either path
    layers = [
        {name: revived(name, value) for name, value in layer.items() if value is not None and name not in restored}
        for layer in (declared, configured)
    ]
    return Policy.merged({"max_attempts": loco.MAX_ATTEMPTS}, *layers, restored)


def _restored(path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored ``options`` as a policy takes them; without a back-off function that cannot be had.

    Such a job is tried again as its task says, for what it is there for is not the back-off.
    """
    found = {name: restored(name, value) for name, value in options.items() if name != "backoff"}
    try:
        return found | {"backoff": restored("backoff", options["backoff"])} if "backoff" in options else found
    except ImportError as error:
        logger.warning("The back-off of a job of %s is not used: %s", path, one_line(error))
        return found


@cache
def backend_class(alias: str) -> type[BaseTaskBackend]:
    """Return the class of the backend behind an alias of ``TASKS``: the sender of its signals."""
    return type(task_backends[alias])


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "TASKS":
        backend_class.cache_clear()


def result_of(job: Job, task: Task[..., Any] | None = None) -> TaskResult[..., Any]:
    """Return ``job`` as Django shows it. ``task``: the one it is a job of, if the caller has it at hand."""
    args, kwargs = decode_call(job.arguments)
    result: TaskResult[..., Any] = object.__new__(TaskResult)
    # Not by its constructor: that looks through all arguments for what is not JSON, and these were just that.
    _fill(
        result,
        {
            **_DEFAULTS,
            "task": _as_enqueued(task or _known(job), job),
            "id": job.id,
            "status": job.status,
            "enqueued_at": _shown(job.enqueued_at),
            "started_at": _shown(job.started_at),
            "finished_at": _shown(job.finished_at),
            "last_attempted_at": _shown(job.last_attempted_at),
            "args": args,
            "kwargs": kwargs,
            "backend": job.backend,
            "errors": [
                StoredError(exception_class_path=error.exception_class_path, traceback=error.traceback)
                for error in job.errors
            ],
            "worker_ids": [*job.worker_ids, job.worker_id or ""] if job.status == RUNNING else list(job.worker_ids),
            "_return_value": decode(job.return_value or "null") if job.status == SUCCESSFUL else None,
        },
    )
    return result


def shown_result_of(job: Job) -> TaskResult[..., Any]:
    """Return ``result_of`` a stored job; if its call or its value cannot be read, without them and with an error."""
    try:
        return result_of(job)
    except NOT_OURS as error:
        errors = (*job.errors, record_of(error, f"TASKS[{job.backend!r}], job {job.id}"))
        return result_of(replace(job, arguments="[[],{}]", options={}, return_value=None, errors=errors))


#: For fields that ``TaskResult`` may get one day.
_DEFAULTS = {field.name: field.default for field in fields(TaskResult) if field.default is not MISSING}


def _known(job: Job) -> Task[..., Any]:
    try:
        return load_task(job.task_path)
    except UnknownTask:
        return stand_in(job.task_path, job.backend)


def _shown(moment: datetime | None) -> datetime | None:
    """Jobs carry UTC; a project without ``USE_TZ`` sees naive local time, as everywhere in Django."""
    if moment is None or settings.USE_TZ:
        return moment
    return timezone.make_naive(moment)


def _as_enqueued(task: Task[..., Any], job: Job) -> Task[..., Any]:
    """Return ``task`` as it was when ``job`` was enqueued.

    Not by ``using()``: that validates against today's settings, and a stored job must be readable whatever they
    say now. It is slow as well, and this happens for every job.
    """
    stored = (job.priority, job.queue_name, job.backend, _shown(job.run_after))
    overrides = job.overrides if job.options else {}
    if not overrides and stored == (task.priority, task.queue_name, task.backend, task.run_after):
        return task
    changes: dict[str, Any] = dict(zip(("priority", "queue_name", "backend", "run_after"), stored, strict=True))
    if overrides:
        changes |= {name: _shown_option(name, value) for name, value in overrides.items()}
        changes["overrides"] = tuple(overrides)
    copy: Task[..., Any] = object.__new__(type(task))
    _fill(copy, {field.name: changes.get(field.name, getattr(task, field.name)) for field in fields(task)})
    return copy


def _shown_option(name: str, value: Any) -> Any:
    """A job stays readable when what one of its options names has been renamed or removed."""
    try:
        value = restored(name, value)
    except (ImportError, ValueError, LookupError):
        return value
    return tuple(value) if isinstance(value, list) else value


def _fill(frozen: Task[..., Any] | TaskResult[..., Any], values: dict[str, Any]) -> None:
    setter: Callable[[object, str, Any], None] = object.__setattr__
    for name, value in values.items():
        setter(frozen, name, value)
