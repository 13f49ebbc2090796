"""Makes the job of one call: validates the arguments, encodes them, and resolves the options of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from inspect import iscoroutinefunction
from typing import Any

from django.utils import timezone

from ..conf import loco_settings
from ..core.compat import InvalidTask, Task
from ..core.job import REQUEST, Job, utcnow
from ..core.serialization import encode_call, encode_exact, require_result_size
from ..core.validation import FIRST_YEAR, LAST_YEAR, validate_call
from ..log.labels import bound
from .stored_options import stored


def new_job(task: Task[..., Any], alias: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
    """Return the job of a call of ``task`` for the backend ``alias``. It is not signed, and not stored.

    Raises ``InvalidArguments`` or ``InvalidTask``.
    """
    validate_call(task, args, kwargs)
    now = utcnow()
    delay = getattr(task, "run_after_delay", None)
    return Job(
        task_path=task.module_path,
        backend=alias,
        arguments=encode_call(task.module_path, args, kwargs),
        queue_name=task.queue_name,
        priority=int(task.priority),
        is_async=iscoroutinefunction(task.func),
        run_after=_later(now, delay) if delay else _aware(task.run_after),
        enqueued_at=now,
        tags=_tags(task),
        options=_stored_options(task),
        metadata=_metadata(task),
    )


def _tags(task: Task[..., Any]) -> tuple[str, ...]:
    declared = getattr(task, "tags", None) or ()
    if "tags" in getattr(task, "overrides", ()):
        return tuple(declared)
    return tuple(loco_settings().TASKS.get(task.module_path, {}).get("tags", declared))


def _stored_options(task: Task[..., Any]) -> dict[str, Any]:
    """Return the options of ``using()`` and the id of the request. Tags have a field of their own in the job."""
    names = [name for name in getattr(task, "overrides", ()) if name != "tags"]
    request_id = bound("request_id")
    try:
        options = {name: stored(name, getattr(task, name)) for name in names}
        return options | {REQUEST: request_id} if request_id else options
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


def _aware(moment: datetime | None) -> datetime | None:
    """Return an aware datetime. A project without ``USE_TZ`` passes naive local ones."""
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment
