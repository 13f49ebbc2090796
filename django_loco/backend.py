"""The backend for Django's ``TASKS`` setting: turns calls of tasks into jobs in a queue, and jobs into results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.core.exceptions import SynchronousOnlyOperation

from .conf import Mode, loco_settings, worker_mode
from .core import running_tests
from .core.compat import DEFAULT_TASK_QUEUE_NAME, TASKS_LOGGER, InvalidTask, Task, TaskResult, task_enqueued
from .core.job import Job
from .core.on_commit import after_commit, open_transactions
from .core.serialization import require_batch_size
from .core.validation import did_you_mean
from .jobs.operations.batches.settling import store
from .jobs.signing import sign
from .log import tracing
from .log.labels import labelled_context
from .log.safe import get_logger
from .metrics.arrivals import count_enqueued
from .queues import Queue, queue_for
from .queues.timeouts import no_store_timeout
from .tasks.decorator import LocoTask, P, R
from .tasks.enqueueing import duplicates
from .tasks.enqueueing.new_job import validate_task
from .tasks.enqueueing.templates import template_of
from .tasks.enqueueing.tick_jobs import ScheduledCall, jobs_of_ticks, store_ticks
from .tasks.hints import async_hint, refuse_event_loop, warn_of_async_caller
from .tasks.results import result_of, result_of_new
from .tasks.signals import announce
from .tasks.startable import require_startable
from .tasks.stored.jobs import StoredJobs, job_like
from .worker import in_process
from .worker.in_process import kept_jobs

#: Django's own receiver logs each enqueue to this logger.
_tasks_logger = get_logger(TASKS_LOGGER)


class LocoBackend(StoredJobs):
    """Django's Tasks on django-loco: ``TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}``.

    ``OPTIONS`` are ``queue`` ("database", "memory", "redis" or a dotted path), ``mode`` (by default the setting
    ``WORKER_MODE``) and the options of the queue. Django makes one instance per thread and async context, so an
    instance keeps no state: queues and workers belong to the process.
    """

    task_class = LocoTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True
    supports_metadata = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        """Accept ``QUEUES`` that is not a list, so that tasks can be imported and the checks report the mistake."""
        names = params.get("QUEUES", [DEFAULT_TASK_QUEUE_NAME])
        if isinstance(names, str) or not isinstance(names, Iterable):
            names = [names]
        super().__init__(alias, {**params, "QUEUES": [name for name in names if isinstance(name, str)]})

    def validate_task(self, task: Task[..., Any]) -> None:
        """Raise ``InvalidTask`` if ``task`` fails Django's checks, or has a value that some store cannot keep."""
        validate_task(task)
        if self.queues and task.queue_name not in self.queues:
            near = did_you_mean(task.queue_name, sorted(self.queues))
            raise InvalidTask(
                f"Queue {task.queue_name!r} is not valid for backend.{near} Add it to "
                f"TASKS[{self.alias!r}]['QUEUES'], or use a queue of that list."
            )
        super().validate_task(task)
        if "." in task.func.__qualname__:
            raise InvalidTask("Task function must be defined at a module level.")

    def enqueue(self, task: Task[P, R], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[P, R]:
        """Store one call of ``task``; return its result, which is ``READY``, or finished in ``ForegroundBlocking``.

        Raises ``InvalidTask``, ``InvalidArguments`` or a ``QueueError``. Nothing was stored then, with one exception:
        after ``QueueUnavailable`` the job may have been stored, because the queue hangs or its answer was lost.
        """
        job = template_of(task, self).job(args, kwargs)
        results = self._enqueued(task, [job], [(args, kwargs)], duplicates.handling_of(task))
        return results[0]  # type: ignore[return-value]

    def enqueue_many(
        self,
        task: Task[..., Any],
        calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]],
        *,
        batch: str | None = None,
    ) -> list[TaskResult[..., Any]]:
        """Store several calls of ``task``, each ``(args, kwargs)``, all or none; return their results in order.

        ``batch`` is the id of the batch that the jobs become members of. Raises the same errors as ``enqueue``.
        """
        template, calls = template_of(task, self), list(calls)
        jobs = [template.job(args, kwargs) for args, kwargs in calls]
        if batch is not None:
            jobs = [replace(job, batch=batch) for job in jobs]
        if len(jobs) > 1:
            require_batch_size([job.arguments for job in jobs])
        return self._enqueued(task, jobs, calls, duplicates.handling_of(task)) if jobs else []

    def _enqueued(
        self, task: Task[..., Any], jobs: list[Job], calls: Sequence[Any], handling: duplicates.Handling
    ) -> list[TaskResult[..., Any]]:
        mode = worker_mode(self.alias, self.options)
        if mode == "ForegroundBlocking":
            return self._run(task, jobs, handling)
        results = [result_of_new(job, task, *call) for job, call in zip(jobs, calls, strict=True)]
        try:
            if handling.action == "raise":
                duplicates.refuse(self.queue, jobs)
            self._at_commit(lambda: self._store(jobs, results, mode, handling), jobs)
        except SynchronousOnlyOperation as error:
            raise async_hint("enqueue") from error
        return results

    def job_of(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
        """Return the job that ``enqueue`` would store. Raises ``InvalidTask`` or ``InvalidArguments``."""
        return sign([template_of(task, self).job(args, kwargs)])[0]

    def enqueue_tick(
        self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, key: str, tick: datetime
    ) -> TaskResult[..., Any] | None:
        """Store the job of a schedule's ``tick``. Return ``None`` if a job with this ``key`` was stored before."""
        return self.enqueue_ticks([ScheduledCall(task, args, kwargs, key, tick)])[0]

    def enqueue_ticks(self, ticks: Sequence[ScheduledCall]) -> list[TaskResult[..., Any] | None]:
        """Store the jobs of several ticks, all or none; return for each the same as ``enqueue_tick``, in order."""
        kept_jobs.share_keys(self.alias)
        jobs = jobs_of_ticks(ticks, self.alias)
        mode = worker_mode(self.alias, self.options)
        if mode == "ForegroundBlocking":
            with no_store_timeout():  # the project's code has no limit
                finished = [self._run_now(tick.task, [job]) for tick, job in zip(ticks, jobs, strict=True)]
            ran = [result_of(run[0], tick.task) if run else None for tick, run in zip(ticks, finished, strict=True)]
            duplicates.mark(ran, jobs)
            return ran
        calls = [(job, duplicates.handling_of(tick.task)) for tick, job in zip(ticks, jobs, strict=True)]
        stored, others = store_ticks(self.queue, calls, lambda few: self._add(few, mode))
        results = [
            result_of(job, tick.task) if job.id in stored else None for tick, job in zip(ticks, jobs, strict=True)
        ]
        with no_store_timeout():
            for result in filter(None, results):
                labelled_context().run(self._announce, [result], stored)
        return [result or others.get(job.id) for job, result in zip(jobs, results, strict=True)]

    def require_startable(self, job_id: str, *, is_endless: bool) -> None:
        """Raise ``InvalidState`` if the job, which has not ended, cannot start while the calling thread waits."""
        require_startable(self.queue, job_id, is_endless=is_endless, has_worker=in_process.has_worker(self.alias))

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Return an error if the app is not installed: ``django_loco.checks`` does not run then."""
        if apps.is_installed("django_loco"):
            return []
        return [
            Error(
                f"TASKS[{self.alias!r}] uses django-loco, but 'django_loco' is not in INSTALLED_APPS: there are no "
                "commands, no tables and no checks.",
                hint="Add 'django_loco' to INSTALLED_APPS, and run manage.py migrate.",
                id="loco.E005",
            )
        ]

    def run_again(self, job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[..., Any]:
        """Enqueue a new job like ``job`` with these arguments; return its result. Raises as ``job_like``."""
        task, new = job_like(job, args, kwargs)
        return self._enqueued(task, [new], [(args, kwargs)], duplicates.KEEP)[0]

    def add_jobs(self, jobs: list[Job]) -> set[str]:
        """Store jobs of any tasks, without running or announcing them."""
        return self._add(jobs, worker_mode(self.alias, self.options))

    def announce_added(self, jobs: Sequence[Job]) -> None:
        """Send ``task_enqueued`` for jobs that ``add_jobs`` has stored."""
        self._announce(map(result_of, jobs), {job.id for job in jobs})

    def store_keyed(self, jobs: list[Job]) -> None:
        """Store signed jobs with once-keys, or run them."""
        mode = worker_mode(self.alias, self.options)
        if mode == "BackgroundAsync":
            in_process.ensure_started(self.alias)
        if mode != "ForegroundBlocking":
            store(self.queue, jobs)
            return
        for job in jobs:
            in_process.run_in_foreground(self.alias, job)

    @property
    def remembers(self) -> bool:
        """Whether the queue still knows the keys of ticks after a restart."""
        return kept_jobs.remembers(self.alias)

    @property
    def queue(self) -> Queue:
        """The queue of this alias, one for all instances in the process."""
        return queue_for(self.alias)

    def after_commit(self, action: Callable[[], object], *, jobs: Sequence[Job] = (), is_visible: bool = False) -> None:
        """Call ``action``, which stores ``jobs``, after the commit, or at once without ``ENQUEUE_ON_COMMIT``."""
        if not self.runs_stored_jobs:
            refuse_event_loop()
        self._at_commit(action, jobs, is_visible=is_visible)

    def _at_commit(self, action: Callable[[], object], jobs: Sequence[Job], *, is_visible: bool = False) -> None:
        if (loco_settings().ENQUEUE_ON_COMMIT or is_visible) and open_transactions():
            database = None if is_visible else self.queue.database
            after_commit(tracing.with_trace(action), except_for=database, job_ids=[job.id for job in jobs])
        else:
            action()

    def _store(
        self, jobs: list[Job], results: list[TaskResult[..., Any]], mode: Mode, handling: duplicates.Handling
    ) -> None:
        if jobs[0].unique_key is None:
            stored, holders = self._add(jobs, mode), duplicates.NOBODY
        else:
            stored, holders = duplicates.store(self.queue, jobs, handling, lambda few: self._add(few, mode))
        self._announce(results, stored)
        if holders:
            duplicates.log_left_out(jobs, holders)
            duplicates.note(results, holders, handling)

    def _add(self, jobs: list[Job], mode: Mode) -> set[str]:
        """Store ``jobs``; return the ids of the stored ones. The queue refuses a job whose once-key was used before."""
        if mode == "BackgroundAsync":
            warn_of_async_caller()
            in_process.ensure_started(self.alias)
        queue = self.queue
        accepted = tracing.send(jobs, lambda traced: queue.enqueue(sign(traced)))
        if in_process.has_closed() and mode == "BackgroundAsync":
            kept_jobs.save_jobs(self.alias, queue)
        count_enqueued(queue, accepted)
        running_tests.record_enqueued(stored := [job.id for job in accepted])
        return set(stored)

    def _run(self, task: Task[..., Any], jobs: list[Job], handling: duplicates.Handling) -> list[TaskResult[..., Any]]:
        if handling.action == "raise":
            duplicates.refuse(self.queue, jobs[:1])  # the first has ended before the others are enqueued
        finished: list[Job] = []
        self.after_commit(lambda: finished.extend(self._run_now(task, jobs)), jobs=jobs)
        results = [result_of(job, task) for job in finished or jobs]
        duplicates.mark(results, jobs)
        return results

    def _run_now(self, task: Task[..., Any], jobs: list[Job]) -> list[Job]:
        """Run ``jobs`` one after the other in this thread; return the jobs that ran.

        A job whose once-key was used before does not run. If another job holds the unique key of a job, the other job
        is returned in its place.
        """
        return tracing.send(jobs, lambda traced: [ended for job in sign(traced) if (ended := self._ended(task, job))])

    def _ended(self, task: Task[..., Any], job: Job) -> Job | None:
        if job.unique_key is not None and (holders := self.queue.holders([job.unique_key])):
            return duplicates.follow(self.queue, job) or holders[job.unique_key]
        self._announce([result_of(job, task)], {job.id})
        ended = in_process.run_in_foreground(self.alias, job)
        while ended is not None and (following := duplicates.take_following(self.queue, job)) is not None:
            in_process.run_in_foreground(self.alias, following)
        return ended

    def _announce(self, results: Iterable[TaskResult[..., Any]], stored: set[str]) -> None:
        logs = _tasks_logger.isEnabledFor(logging.DEBUG)
        for result in results:
            if result.id in stored:
                announce(task_enqueued, type(self), result, logs=logs)
