"""The callbacks of a batch: which tasks are allowed, and how they are called."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ....core.compat import InvalidTask, Task
from ....core.job import Job
from ....exceptions import InvalidArguments
from ...stores import JobBackend
from ..workflows.declaring import required_task


def required_callback(event: str, task: Task[..., Any]) -> Task[..., Any]:
    """Return ``task``. Raises ``InvalidTask`` with the name of ``event`` if it is no task."""
    try:
        return required_task(task)
    except InvalidTask as error:
        raise InvalidTask(f"on_{event}: {error}") from None


def callback(event: str, task: Task[..., Any], batch_id: str, backend: JobBackend) -> Job:
    """Return the job of a callback. Raises ``InvalidTask`` or ``InvalidArguments`` if it could not be enqueued."""
    require_alias(task, backend.alias)
    if task.run_after is not None or getattr(task, "run_after_delay", None) is not None:
        raise InvalidTask(f"on_{event}: {task.module_path} has a run_after; it is due when the batch has finished.")
    if isinstance(getattr(task, "expires", None), datetime):
        raise InvalidTask(
            f"on_{event}: {task.module_path} expires at a datetime; give expires= in seconds or as a timedelta, "
            "which counts from the time at which the batch has finished."
        )
    job = _called(event, task, batch_id, backend)
    if job.unique_key is not None:
        raise InvalidTask(
            f"on_{event}: {task.module_path} is unique, and what follows must not be left out as a duplicate. Use "
            "using(unique=False), or let it enqueue the unique task."
        )
    return job


def _called(event: str, task: Task[..., Any], batch_id: str, backend: JobBackend) -> Job:
    try:
        return backend.job_of(task, (batch_id,), {})
    except InvalidArguments as error:
        if not task.takes_context:
            raise InvalidArguments(f"on_{event} is called with the id of the batch: {error}") from None
    return backend.job_of(task, (), {})


def require_alias(task: Task[..., Any], alias: str) -> None:
    """Raise ``InvalidTask`` if the jobs of ``task`` are not in the store of the batch."""
    if task.backend != alias:
        raise InvalidTask(
            f"{task.module_path} has the backend {task.backend!r}, and the batch is in {alias!r}: all jobs "
            "of a batch, and its callbacks, are in one store. Give backend= to the batch, or to using()."
        )
