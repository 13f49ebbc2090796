"""The results of stored jobs, and what operations on them need from tasks: see ``jobs.stores.JobBackend``."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import SynchronousOnlyOperation

from ...conf import loco_settings
from ...core.compat import Task, TaskResult
from ...core.job import CARRY, RETENTION, Job
from ...core.on_commit import is_stored_later
from ...core.serialization import decode_call, encode_call
from ...core.uniqueness import keys_again
from ...exceptions import InvalidSignature, UnknownTask
from ...jobs.operations.workflows.results import takes_result
from ...jobs.signing import is_genuine
from ...jobs.stores import JobBackend
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ..aliases import installed_tasks
from ..backport import not_found
from ..enqueueing.limit_key import limit_key_again
from ..enqueueing.new_job import validate_call, with_origin
from ..hints import async_hint
from ..results import load_task, shown_result_of
from ..signals import announce_end

logger = get_logger(__name__)

#: The options that ``job_like`` copies from a job, besides the options of ``using()``.
KEPT = (CARRY, RETENTION)


def job_like(job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Task[..., Any], Job]:
    """Return the task of ``job``, and a new job like ``job``, but with these arguments and due at once.

    The new job is not signed, and not stored. Raises ``UnknownTask``, ``InvalidArguments``, and ``InvalidSignature`` if
    jobs are signed and ``job`` is not.
    """
    if loco_settings().SIGN and not is_genuine(job):
        raise InvalidSignature(f"Job {job.id} was not signed with SECRET_KEY, or was changed later.")
    task = load_task(job.task_path)
    validate_call(task, args, kwargs)
    key, until = keys_again(task, job, decode_call(job.arguments), (args, kwargs))
    return task, Job(
        task_path=job.task_path,
        backend=job.backend,
        arguments=encode_call(job.task_path, args, kwargs),
        queue_name=job.queue_name,
        priority=job.priority,
        is_async=inspect.iscoroutinefunction(task.func),
        tags=job.tags,
        options=with_origin(job.overrides) | {name: job.options[name] for name in KEPT if name in job.options},
        metadata=job.metadata,
        unique_key=key,
        unique_until=until,
        limit_key=limit_key_again(task, job.limit_key, decode_call(job.arguments), (args, kwargs)),
    )


class StoredJobs(JobBackend):
    """The part of ``LocoBackend`` that is about stored jobs: their results, and what their tasks say."""

    def get_result(self, result_id: str) -> TaskResult[..., Any]:
        """Return the present state of a job. Raises ``TaskResultDoesNotExist``, also for a malformed id."""
        try:
            digits = UUID(str(result_id)).hex
        except ValueError:
            raise not_found(result_id) from None
        try:
            job = self.queue.get(digits)
        except SynchronousOnlyOperation as error:
            raise async_hint("get_result") from error
        if job is None:
            later = ": the job is stored after the commit. Look at it, and wait(), outside of atomic()."
            raise not_found(f"{result_id}{later if is_stored_later(digits) else ''}")
        return shown_result_of(job)

    def job_like(self, job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
        """Return the job that ``run_again`` would store, not signed."""
        return job_like(job, args, kwargs)[1]

    def require_arguments(self, job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise ``InvalidArguments`` if the task of ``job`` does not take these; pass if the task is not here."""
        try:
            task = load_task(job.task_path)
        except UnknownTask:
            return
        validate_call(task, (None, *args) if takes_result(job) else args, kwargs)

    def task_paths(self, path: str) -> Collection[str]:
        """Return the paths of the tasks of installed apps, and ``path`` if a task is there or has it as an alias."""
        known = installed_tasks()
        try:
            load_task(path)
        except Exception as error:  # noqa: BLE001 - importing its module runs any code
            logger.debug("%s is no task here: %s", one_line(path), one_line(error))
            return known
        return {*known, path}

    def parameters_of(self, job: Job) -> Sequence[str]:
        """Return the names of the positional arguments of the task of ``job``; empty if it cannot be loaded."""
        try:
            task = load_task(job.task_path)
            parameters = inspect.signature(task.func, follow_wrapped=False).parameters.values()
        except Exception as error:  # noqa: BLE001 - importing its module runs any code
            logger.debug("The arguments of %s have no names here: %s", one_line(job.task_path), one_line(error))
            return ()
        names = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        return names[task.takes_context + takes_result(job) :]

    def announce_end(self, jobs: Sequence[Job]) -> None:
        """Send ``task_finished`` for jobs that have ended without running."""
        announce_end(type(self), jobs)
