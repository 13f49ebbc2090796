"""Sends Django's task signals, also for jobs that have ended without running."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import Context
from typing import Any

from asgiref.sync import sync_to_async
from django.dispatch import Signal

from ...core.compat import TaskResult, task_finished
from ...core.job import FAILED, Job
from ...exceptions import JobCancelled, LostJob, ResultRefused
from ...log import sentry
from ...log.audience import hears_tasks
from ...log.labels import bind
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues.timeouts import no_store_timeout
from ...tasks import signals
from ...tasks.results import backend_class, shown_result_of
from .connections import tidy

logger = get_logger("django_loco.worker")


def label(job: Job) -> None:
    """Label log lines and Sentry events of this context with the job and its request from now on.

    Jobs that are enqueued in this context belong to the same request.
    """
    bind(job_id=job.id, task=job.task_path, attempt=job.attempt, request_id=job.request_id)
    sentry.describe(job)


def announce(signal: Signal, result: TaskResult[..., Any]) -> None:
    """Send ``signal``. Logs what a receiver raises.

    Django's own receivers log the start or the end. They are called only if that log line is enabled.
    """
    try:
        logs = result.status == FAILED or hears_tasks()
        signals.announce(signal, backend_class(result.task.backend), result, logs=logs)
    except BaseException:
        logger.exception("A receiver of a task signal raised")


async def aannounce(signal: Signal, result: TaskResult[..., Any]) -> None:
    """``announce`` on an event loop: receivers are called in a thread, where they may use the database.

    If there are only Django's own receivers, which only log, they are called in this thread: two changes of thread
    would be most of the cost of a job. ``asend_robust`` is not used because before Django 6.1 receivers do not see the
    exception.
    """
    if signals.only_log(signal):
        announce(signal, result)
        return
    try:
        await sync_to_async(announce)(signal, result)
    except asyncio.CancelledError:  # at a shutdown: the outcome of the job does not change
        logger.debug("The receivers of a task signal were cancelled")


def announce_apart(announcement: Callable[..., None], *args: Any) -> None:
    """Call ``announcement`` in one of the worker's own threads: in a new context, and without its store timeout."""
    with no_store_timeout():
        Context().run(announcement, *args)
    tidy()


def announce_lost(job: Job) -> None:
    """Log that ``job`` has failed as lost and send ``task_finished``, because the dead worker cannot."""
    label(job)
    logger.error("%s has failed: it took its worker down %d times", one_line(job.task_path), job.lost)
    _announce_failure(job, LostJob)


def announce_refused(job: Job) -> None:
    """Send ``task_finished`` for a job that has failed because the queue has refused its result."""
    label(job)
    _announce_failure(job, ResultRefused)


def announce_cancelled(job: Job) -> None:
    """Send ``task_finished`` for a job that was cancelled before its worker noticed. That is nobody's fault."""
    label(job)
    _announce_failure(job, JobCancelled, is_reported=False)


def _announce_failure(job: Job, kind: type[Exception], *, is_reported: bool = True) -> None:
    try:
        raise kind(job.errors[-1].traceback.strip().partition(": ")[2])
    except kind:
        if is_reported:
            sentry.report(sys.exception())
        announce(task_finished, shown_result_of(job))
