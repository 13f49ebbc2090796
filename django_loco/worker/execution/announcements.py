"""Sends signals about jobs, also for those that have ended without running."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.dispatch import Signal

from ...core.compat import TaskResult, task_finished
from ...core.job import CANCELLED, DISCARDED, FAILED, GIVEN_UP, READY, Job, Outcome
from ...core.threads import new_context
from ...exceptions import JobCancelled, JobExpired, LostJob, ResultRefused
from ...log import sentry
from ...log.django_records import hears_tasks
from ...log.labels import bind
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues.timeouts import no_store_timeout
from ...signals import job_cancelled, job_lost, job_released, job_retried
from ...tasks import signals
from ...tasks.results import backend_class, shown_result_of
from . import announcer
from .connections import drop_all

logger = get_logger("django_loco.worker")


def label(job: Job) -> None:
    """Label log lines and Sentry events of this context with the job and its request from now on.

    Jobs that are enqueued in this context belong to the same request.
    """
    bind(job_id=job.id, task=job.task_path, attempt=job.attempt, request_id=job.request_id)
    sentry.describe(job)


def announce(signal: Signal, result: TaskResult[..., Any]) -> None:
    """Send ``signal``. Logs the errors of receivers.

    Django's own receivers log the start or the end. They are called only if that log line is enabled. They are not
    called for a job that has discarded itself, has expired or was cancelled, since that is no error.
    """
    try:
        logs = not _failed_by(result, GIVEN_UP) if result.status == FAILED else hears_tasks()
        signals.announce(signal, backend_class(result.task.backend), result, logs=logs)
    except BaseException:
        logger.exception("A receiver of a signal raised")


async def aannounce(signal: Signal, result: TaskResult[..., Any]) -> None:
    """``announce`` on an event loop: receivers are called in a thread, where they may use the database.

    If there are only Django's own receivers, they are called in this thread: they only log, and two changes of thread
    would be most of the cost of a job. ``asend_robust`` is not used because before Django 6.1 receivers do not see the
    exception.
    """
    if signals.only_log(signal):
        announce(signal, result)
        return
    await _in_thread(partial(announce, signal, result))


def has_discarded_itself(result: TaskResult[..., Any]) -> bool:
    """Whether a job, not cancelled by anybody, ended itself with ``Discard`` or an error that means the same."""
    return _failed_by(result, {DISCARDED, CANCELLED})


def _failed_by(result: TaskResult[..., Any], paths: Collection[str]) -> bool:
    return result.status == FAILED and bool(result.errors) and result.errors[-1].exception_class_path in paths


def announce_finished(result: TaskResult[..., Any], *, is_cancelled: bool) -> None:
    """Send ``task_finished``, and ``job_cancelled`` if the job was cancelled, by somebody or by itself."""
    announce(task_finished, result)
    if is_cancelled:
        _send(job_cancelled, result)


async def aannounce_finished(result: TaskResult[..., Any], *, is_cancelled: bool) -> None:
    """``announce_finished`` on an event loop; see ``aannounce``."""
    if is_cancelled and job_cancelled.receivers:
        await _in_thread(partial(announce_finished, result, is_cancelled=True))
    else:
        await aannounce(task_finished, result)


def is_retry(outcome: Outcome) -> bool:
    """Whether an attempt has failed and another one follows. A job that was handed back has spent no attempt."""
    return outcome.status == READY and outcome.spent and outcome.error is not None


def announce_retry(result: TaskResult[..., Any], outcome: Outcome, error: BaseException | None) -> None:
    """Send ``job_retried`` after an attempt that has failed with ``error``."""
    _send(job_retried, result, exception=error, run_after=outcome.run_after)


async def aannounce_retry(result: TaskResult[..., Any], outcome: Outcome, error: BaseException | None) -> None:
    """``announce_retry`` on an event loop; see ``aannounce``."""
    if job_retried.receivers:
        await _in_thread(partial(announce_retry, result, outcome, error))


def _send(signal: Signal, result: TaskResult[..., Any], **values: Any) -> None:
    if signal.receivers:
        signals.send(signal, backend_class(result.task.backend), task_result=result, **values)


async def _in_thread(announcement: Callable[[], None]) -> None:
    try:
        await sync_to_async(announcement)()
    except asyncio.CancelledError:  # at a shutdown: the outcome of the job does not change
        logger.debug("The receivers of a task signal were cancelled")


def announce_apart(announcement: Callable[..., None], *args: Any) -> None:
    """Call ``announcement`` in the announcer's thread: in a new context, and without a store timeout."""
    announcer.call(partial(_announce_here, announcement, *args))


def _announce_here(announcement: Callable[..., None], *args: Any) -> None:
    try:
        with no_store_timeout():
            new_context().run(announcement, *args)
    finally:
        drop_all()


def announce_lost(job: Job) -> None:
    """Log that ``job`` has failed as lost and send ``task_finished``, because the dead worker cannot."""
    label(job)
    with sentry.without_event():
        logger.error("%s has failed: it took its worker down %d times", one_line(job.task_path), job.lost)
    _announce_failure(job, LostJob)


def announce_refused(job: Job) -> None:
    """Send ``task_finished`` for a job that has failed because the queue has refused its result."""
    label(job)
    _announce_failure(job, ResultRefused)


def announce_unfinished(job: Job) -> None:
    """Send ``task_finished`` for a job that has failed by an error of the worker."""
    label(job)
    _announce_failure(job, RuntimeError)


def announce_cancelled(job: Job) -> None:
    """Announce the end of a job that was cancelled before its worker noticed. It is not logged as an error."""
    label(job)
    _announce_failure(job, JobCancelled, is_reported=False)
    _send(job_cancelled, shown_result_of(job))


def announce_expired(job: Job) -> None:
    """Log and announce the end of a job that did not begin before its ``expires_at``."""
    label(job)
    logger.info("%s did not run: %s", one_line(job.task_path), _reason(job))
    _announce_failure(job, JobExpired, is_reported=False)
    _send(job_cancelled, shown_result_of(job))


def announce_death(job: Job) -> None:
    """Send ``job_lost`` for a job whose worker has died."""
    label(job)
    _send(job_lost, shown_result_of(job))


def announce_released(job: Job) -> None:
    """Send ``job_released`` for a job that had begun and was handed back to the queue."""
    label(job)
    _send(job_released, shown_result_of(job))


def _reason(job: Job) -> str:
    return job.errors[-1].traceback.strip().partition(": ")[2]


def _announce_failure(job: Job, kind: type[Exception], *, is_reported: bool = True) -> None:
    try:
        raise kind(_reason(job))
    except kind:
        if is_reported:
            sentry.report(sys.exception())
        announce(task_finished, shown_result_of(job))
