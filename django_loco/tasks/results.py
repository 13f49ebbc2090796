"""Converts a stored ``Job`` to Django's ``Task`` and ``TaskResult``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, replace
from datetime import datetime
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils import timezone

from ..core.compat import BaseTaskBackend, Task, TaskError, TaskResult, task_backends
from ..core.job import READY, RUNNING, SUCCESSFUL, Job
from ..core.job.retry import is_exception_type
from ..core.serialization import are_scalars, decode, decode_call
from ..core.validation import nearest
from ..exceptions import UnknownTask
from ..jobs.presentation.progress import progress_of
from ..log.plain_text import one_line
from ..queues.rows.unreadable import NOT_OURS, record_of
from .aliases import target_of
from .decorator import LocoTask
from .job_result import JobResult, fill
from .loading import load_module
from .stored.options import option_from_json


def load_task(path: str) -> Task[..., Any]:
    """Return the task at ``path``, or the task that has ``path`` as an alias.

    Imports its module if ``loading.may_be_imported`` allows it. Raises ``UnknownTask`` if this process has no such
    task, and any exception that the module raises on import.
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
        task = _attribute(module, name)
    except ImportError as error:
        raise UnknownTask(
            f"{one_line(path)} cannot be imported here ({one_line(error)}). Deploy the code that has it, add it to "
            "the aliases of the task that has replaced it, or delete its jobs."
        ) from error
    if not isinstance(task, Task):
        raise UnknownTask(f"{path} is not a task here, but a {type(task).__name__}. Is it still decorated with @task?")
    return task


def _attribute(module: str, name: str) -> object:
    """Return an attribute from the dictionary of a module; a module's ``__getattr__`` could run any code."""
    names = vars(load_module(module))
    try:
        return names[name]
    except KeyError:
        near = nearest(name, [*names])
        hint = f". Did you mean {near!r}?" if near else ""
        raise ImportError(f'Module "{module}" does not define a "{name}"{hint}') from None


def stand_in(path: str, backend: str) -> Task[..., Any]:
    """Return a task with this ``path`` that cannot be called, for a job whose task does not exist in this process."""

    def missing(*args: Any, **kwargs: Any) -> None:
        raise UnknownTask(f"{path} cannot be imported here.")

    missing.__module__, _, missing.__name__ = path.rpartition(".")
    missing.__qualname__ = missing.__name__
    task: LocoTask[..., Any] = object.__new__(LocoTask)
    fill(task, {field.name: field.default for field in fields(LocoTask)} | {"func": missing, "backend": backend})
    return task


class StoredError(TaskError):
    """The error of an attempt, read from the store. Its class is imported under the same rules as a task."""

    __slots__ = ()

    @property
    def exception_class(self) -> type[BaseException]:
        """The type of the exception.

        Raises ``ImportError`` if its module may not be imported or lacks the name, ``ValueError`` if the name is no
        exception type.
        """
        module, _, name = self.exception_class_path.rpartition(".")
        kind = _attribute(module, name)
        if not is_exception_type(kind):
            raise ValueError(f"{self.exception_class_path!r} does not reference a valid exception.")
        return cast("type[BaseException]", kind)


@cache
def backend_class(alias: str) -> type[BaseTaskBackend]:
    """Return the class of the backend of an alias in ``TASKS``: the sender of its signals."""
    return type(task_backends[alias])


@receiver(setting_changed)
def _clear_cache(*, setting: str, **kwargs: Any) -> None:
    if setting == "TASKS":
        backend_class.cache_clear()


def result_of(job: Job, task: Task[..., Any] | None = None) -> TaskResult[..., Any]:
    """Return ``job`` as a ``TaskResult``. ``task`` is the job's task; ``None`` loads it."""
    args, kwargs = decode_call(job.arguments)
    result: TaskResult[..., Any] = object.__new__(JobResult)
    # Without the constructor, which checks that all arguments are JSON; these have just been decoded from it.
    fill(
        result,
        {
            **_DEFAULTS,
            "task": _as_enqueued(task or _task_of(job), job),
            "id": job.id,
            "status": job.status,
            "enqueued_at": _local(job.enqueued_at),
            "started_at": _local(job.started_at),
            "finished_at": _local(job.finished_at),
            "last_attempted_at": _local(job.last_attempted_at),
            "args": args,
            "kwargs": kwargs,
            "backend": job.backend,
            "errors": [
                StoredError(exception_class_path=error.exception_class_path, traceback=error.traceback)
                for error in job.errors
            ],
            "worker_ids": [*job.worker_ids, job.worker_id or ""] if job.status == RUNNING else list(job.worker_ids),
            "metadata": _metadata_of(job) if job.metadata else {},
            "parent": job.parent or None,
            "progress": progress_of(job) if job.progress else None,
            "_return_value": decode(job.return_value or "null") if job.status == SUCCESSFUL else None,
        },
    )
    return result


def result_of_new(
    job: Job, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> TaskResult[..., Any]:
    """Return ``result_of(job, task)`` for a job that was just made from a call of ``task`` with these arguments."""
    if not are_scalars(args, kwargs):
        args, kwargs = decode_call(job.arguments)
    result: TaskResult[..., Any] = object.__new__(JobResult)
    fill(
        result,
        {
            **_NEW,
            "task": task if job.run_after is None and job.backend == task.backend else _as_enqueued(task, job),
            "id": job.id,
            "enqueued_at": _local(job.enqueued_at),
            "args": list(args),
            "kwargs": dict(kwargs),
            "backend": job.backend,
            "errors": [],
            "worker_ids": [],
            "metadata": _metadata_of(job) if job.metadata else {},
            "parent": job.parent or None,
            "progress": None,
        },
    )
    return result


def _metadata_of(job: Job) -> dict[str, Any]:
    """Return the metadata of ``job``; an empty dict if it is not a JSON object because somebody has edited it."""
    try:
        metadata = decode(job.metadata or "{}")
    except NOT_OURS:
        metadata = None
    return metadata if isinstance(metadata, dict) else {}


def shown_result_of(job: Job) -> TaskResult[..., Any]:
    """Return ``result_of(job)``. If the stored arguments or return value are broken, they are replaced by an error."""
    try:
        return result_of(job)
    except NOT_OURS as error:
        errors = (*job.errors, record_of(error, f"TASKS[{job.backend!r}], job {job.id}"))
        return result_of(replace(job, arguments="[[],{}]", options={}, return_value=None, errors=errors))


#: The defaults of the fields, also of fields that a later version of ``TaskResult`` may add.
_DEFAULTS = {field.name: field.default for field in fields(JobResult) if field.default is not MISSING}


#: The fields of a job that has not begun.
_NEW = _DEFAULTS | {
    "status": READY,
    **dict.fromkeys(("started_at", "finished_at", "last_attempted_at", "_return_value")),
}


def _task_of(job: Job) -> Task[..., Any]:
    try:
        return load_task(job.task_path)
    except UnknownTask:
        return stand_in(job.task_path, job.backend)


def _local(moment: datetime | None) -> datetime | None:
    """Return a time of a job, which is in UTC, as the project expects it: without ``USE_TZ`` naive and local."""
    if moment is None or settings.USE_TZ:
        return moment
    return timezone.make_naive(moment, timezone.get_default_timezone())


def _as_enqueued(task: Task[..., Any], job: Job) -> Task[..., Any]:
    """Return ``task`` with the options that ``job`` was enqueued with.

    Does not call ``using()``, which is slow and validates against the present settings. A stored job must be readable
    with any settings.
    """
    stored = (job.priority, job.queue_name, job.backend, _local(job.run_after))
    overrides = job.overrides if job.options else {}
    if not overrides and stored == (task.priority, task.queue_name, task.backend, task.run_after):
        return task
    changes: dict[str, Any] = dict(zip(("priority", "queue_name", "backend", "run_after"), stored, strict=True))
    if overrides:
        changes |= {name: _option_or_raw(name, value) for name, value in overrides.items()}
        changes["overrides"] = tuple(overrides)
    copy: Task[..., Any] = object.__new__(type(task))
    fill(copy, {field.name: changes.get(field.name, getattr(task, field.name)) for field in fields(task)})
    return copy


def _option_or_raw(name: str, value: Any) -> Any:
    """Return the value of a stored option, or its JSON if it names something that no longer exists."""
    try:
        value = option_from_json(name, value)
    except (ImportError, ValueError, LookupError):
        return value
    return tuple(value) if isinstance(value, list) else value
