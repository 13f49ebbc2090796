"""Turns calls into jobs: validates the task and its arguments, encodes them, and resolves the options of the task.

Values that some store could not keep are refused here, with the same error for every queue.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils import timezone

from ...carry import captured
from ...conf import loco_settings
from ...core.compat import InvalidTask, Task
from ...core.job import CARRY, PARENT, REQUEST, RERUN, RETENTION, Job, aware, utcnow
from ...core.serialization import encode_call, encode_exact, require_result_size
from ...core.task_options import CALL_OPTIONS
from ...core.uniqueness import rule_of
from ...core.validation import (
    FIRST_YEAR,
    LAST_YEAR,
    NAME_REQUIREMENT,
    is_name,
    is_number,
    nearest,
    retention_by_end,
    short,
)
from ...exceptions import InvalidArguments, UnknownTask
from ...log.labels import bound
from ...log.plain_text import one_line
from ..loading import may_be_imported
from ..results import load_task
from ..stored.options import option_to_json
from .limit_key import LimitRule, limit_options_of, limit_rule_of
from .merged_option import merged_option

#: The stored options that have a field of their own in the job, or go into its options wherever they are set.
OWN_FIELDS = ("tags", "expires", "limits", "limit_key", "retention")

#: Paths of tasks that a worker can import. In one process that does not change.
_importable: set[str] = set()


def validate_task(task: Task[..., Any]) -> None:
    """Raise ``InvalidTask``, which names the argument, if queue name, priority or ``run_after`` is invalid."""
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
    if settings.USE_TZ and timezone.is_naive(moment):
        raise InvalidTask(  # Django's text, and a remedy
            f"run_after must be an aware datetime. {moment} has no time zone: pass it to timezone.make_aware(), or "
            "give a timedelta from now on."
        )


def require_importable(task: Task[..., Any]) -> None:
    """Raise ``InvalidTask`` for a task that no worker could import: now rather than when the job runs."""
    path = task.module_path
    if path in _importable:
        return
    module = path.rpartition(".")[0]
    if module != "__main__" and not may_be_imported(module):
        raise InvalidTask(
            f"{path}: a worker may not import {module}, because it is neither the project's code nor an installed "
            "app's. Add it to LOCO['TASK_MODULES']."
        )
    try:
        load_task(path)
    except UnknownTask as error:
        raise InvalidTask(
            f"{path} cannot be enqueued, because no worker could import it ({one_line(error.__cause__ or error)}). "
            "A worker imports the module, which must have the task under the name of its function."
        ) from error
    _importable.add(path)


def validate_call(task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise ``InvalidArguments`` if the function of ``task`` does not take these arguments."""
    count = len(args) + 1 if task.takes_context else len(args)
    if misfit := _misfit(task.func, count, tuple(kwargs)):
        raise InvalidArguments(f"the arguments do not fit {task.module_path}{misfit}")


@lru_cache(maxsize=4096)
def _misfit(function: Callable[..., Any], count: int, names: tuple[str, ...]) -> str:
    """Return why ``function`` does not take ``count`` positional and these keyword arguments; empty if it does.

    A decorator may add arguments. So the signature of the called function counts, not the signature of the function
    that it wraps.
    """
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # a function in C without a signature
        return ""
    try:
        signature.bind(*(None,) * count, **dict.fromkeys(names))
    except TypeError as error:
        return f"{signature}: {error}.{_hint_of(names, tuple(signature.parameters))}"
    return ""


def _hint_of(names: Sequence[str], known: Sequence[str]) -> str:
    """Return what to write for the first of ``names`` that is not known, with a leading space; or nothing."""
    for name in names:
        if name not in known and name in CALL_OPTIONS:
            return f" Write task.using({name}=...).enqueue(...)."
        if name not in known and (near := nearest(name, known)):
            return f" Did you mean {near!r}?"
    return ""


def with_origin(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the ``options`` of a new job, with the ids of the current request and the current job."""
    copy = {**options}
    if request_id := bound("request_id"):
        copy[REQUEST] = request_id
    if parent := bound("job_id"):
        copy[PARENT] = parent
    return copy


class JobTemplate:
    """The fields that are the same in the jobs of all calls of a task, checked and encoded once."""

    __slots__ = ("_delay", "_expires", "_fields", "_limits", "_options", "_unique", "settings", "task")

    def __init__(self, task: Task[..., Any], alias: str) -> None:
        """``alias`` is the alias of the backend. Raises ``InvalidTask``."""
        self.task = task
        self.settings = loco_settings()
        self._delay = getattr(task, "run_after_delay", None)
        self._expires = merged_option(task, "expires")
        self._options = _stored_options(task)
        if getattr(task, "on_duplicate", None) == "rerun":
            self._options[RERUN] = True
        if (retention := merged_option(task, "retention")) is not None:
            self._options[RETENTION] = retention_by_end(retention)
        self._unique, self._limits = rule_of(task), _limits_of(task)
        self._fields: dict[str, Any] = {
            "task_path": task.module_path,
            "backend": alias,
            "queue_name": task.queue_name,
            "priority": int(task.priority),
            "is_async": inspect.iscoroutinefunction(task.func),
            "run_after": task.run_after and aware(task.run_after),
            "tags": tuple(merged_option(task, "tags") or ()),
            "metadata": _metadata(task),
        }

    @property
    def is_constant(self) -> bool:
        """Whether it can be kept: no metadata, which the caller can change, and no time, which depends on zones."""
        return self._fields["metadata"] is None and self._fields["run_after"] is None

    def job(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
        """Return the job of a call. It is not signed, and not stored.

        Raises ``InvalidArguments`` or ``InvalidTask``.
        """
        validate_call(self.task, args, kwargs)
        arguments = encode_call(self._fields["task_path"], args, kwargs)
        options = with_origin(self._options)
        if self.settings.CARRY and (carried := captured()):
            options[CARRY] = carried
        now = utcnow()
        key, until = self._unique.fields(args, kwargs, now) if self._unique else (None, None)
        job = Job(
            **self._fields,
            arguments=arguments,
            enqueued_at=now,
            options=options,
            unique_key=key,
            unique_until=until,
            limit_key=self._limits.key(args, kwargs) if self._limits else None,
        )
        if self._delay:
            job = replace(job, run_after=_later(now, self._delay))
        return job if self._expires is None else replace(job, expires_at=_expiry(job, self._expires))


def new_job(task: Task[..., Any], alias: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
    """Return the job of a call of ``task`` for the backend ``alias``. It is not signed, and not stored.

    Raises ``InvalidArguments`` or ``InvalidTask``.
    """
    return JobTemplate(task, alias).job(args, kwargs)


def due_at(job: Job, moment: datetime) -> Job:
    """Return the new ``job``, due at ``moment``. If it waits until then, it also expires later by the same time."""
    expires_at = job.expires_at
    if expires_at is not None:
        expires_at += max(timedelta(), moment - job.enqueued_at)
    return replace(job, run_after=moment, expires_at=expires_at)


def _limits_of(task: Task[..., Any]) -> LimitRule | None:
    try:
        return limit_rule_of(task, *limit_options_of(task))
    except (ImportError, ValueError) as error:
        raise InvalidTask(f"{task.module_path}: {error}") from None


def _stored_options(task: Task[..., Any]) -> dict[str, Any]:
    """Return the options of ``using()`` that have no field of their own in the job."""
    try:
        return {
            name: option_to_json(name, getattr(task, name))
            for name in getattr(task, "overrides", ())
            if name not in OWN_FIELDS
        }
    except (ImportError, ValueError) as error:
        raise InvalidTask(f"{task.module_path}: {error}") from None


def _metadata(task: Task[..., Any]) -> str | None:
    metadata = getattr(task, "metadata", None)
    if not metadata:
        return None
    try:
        if not isinstance(metadata, Mapping):
            raise TypeError("It must be a dict.")
        text = encode_exact(metadata)
        require_result_size("it", text)
    except (TypeError, ValueError) as error:
        raise InvalidTask(f"{task.module_path}: the metadata cannot be stored. {error}") from None
    return text


def _later(now: datetime, delay: timedelta) -> datetime:
    try:
        moment = now + delay
    except OverflowError:
        moment = None
    if moment is None or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InvalidTask(
            f"run_after is {delay!r}, counted from now; the time must be in the years {FIRST_YEAR} to {LAST_YEAR}."
        )
    return moment


def _expiry(job: Job, expires: float | timedelta | datetime) -> datetime:
    """Return the time when a new job expires."""
    if isinstance(expires, datetime):
        if settings.USE_TZ and timezone.is_naive(expires):
            raise InvalidTask(f"expires is {expires}; it must be an aware datetime.")
        moment = aware(expires)
    else:
        moment = job.enqueued_at + (expires if isinstance(expires, timedelta) else timedelta(seconds=expires))
    if moment.year > LAST_YEAR:
        raise InvalidTask(f"expires is {moment}; it must be in the years {FIRST_YEAR} to {LAST_YEAR}.")
    if moment <= job.due_at:
        due = "run_after, when the job may run" if job.run_after else "now"
        raise InvalidTask(f"expires is {short(expires)}: the job would expire at {moment}, and not after {due}.")
    return moment
