"""The only place where user code is called.

``execute`` runs a job in the calling thread, ``aexecute`` on an event loop. They share every step but the call:

    prepare -> task_started -> call -> succeeded or failed -> settle -> task_finished

When the end is told
--------------------
``task_finished`` is sent right after the call, in the job's thread and context, before the queue is asked to store the
outcome: receivers find the exception in ``sys.exc_info()`` and use the thread's connection. The claim is known to be
this worker's then. If it may be another's by now (its lease has run out unrenewed, or the queue has said so), the
signal waits until the queue has accepted the outcome, and is not sent if the queue refuses it. A worker that dies
between the two has told of an end that is not stored; the job runs again and its end is told again. So receivers are
told of each end at least once, rather than at most once: a receiver can recognise a second time by the result's id,
but nothing could make up for an end of which nobody was told.

Each wants a ``contextvars`` context of its own, which it labels for the log. What a task, a receiver or a logging
handler raises, a ``SystemExit`` too, ends here. Once a run is settled, its outcome is returned whatever is raised then.
"""

from __future__ import annotations

import asyncio
import sys
import time
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.dispatch import Signal

from ...core.compat import TASKS_LOGGER, TaskResult, task_finished, task_started
from ...core.job import READY, Job, Outcome, utcnow
from ...exceptions import JobTimeout
from ...log import sentry
from ...log.labels import bind, bind_duration
from ...log.safe import get_logger
from ...tasks import signals
from ...tasks.backport import with_twin
from ...tasks.results import backend_class
from ..claimed_job import ClaimedJob
from .attempt import Attempt, prepare

logger = get_logger("django_loco.worker")


def execute(claimed: ClaimedJob, call: Callable[[Attempt], Any] = Attempt.call) -> Outcome | None:
    """Run a job in this thread and return how it ended; ``None`` if that was decided elsewhere meanwhile.

    ``call`` calls the task: a pool puts its time limit there.
    """
    label(claimed.job)
    attempt = prepare(claimed)
    if isinstance(attempt, Outcome):
        return attempt if claimed.settle(attempt) else None
    announce(task_started, attempt.result)
    try:
        outcome = attempt.succeeded(call(attempt))
    except BaseException as error:  # noqa: BLE001 - whatever a task raises is its own failure, not the worker's
        # Inside the handler, so that receivers find the exception in sys.exc_info(): Django's logs it from there.
        return conclude(attempt, attempt.failed(error))
    return conclude(attempt, outcome)


def label(job: Job) -> None:
    """Label what is logged, and what Sentry captures, from here on in this context with the job and its request.

    So the jobs that it enqueues come from the same request.
    """
    bind(job_id=job.id, task=job.task_path, attempt=job.attempt, request_id=job.request_id)
    sentry.describe(job)


def conclude(attempt: Attempt, outcome: Outcome) -> Outcome | None:
    """Settle the run and tell of its end."""
    if not attempt.settle(outcome):
        return None
    if not _must_be_accepted_first(attempt, outcome):
        tell(attempt, outcome)
    return outcome


def _must_be_accepted_first(attempt: Attempt, outcome: Outcome) -> bool:
    """Leave the telling until the queue has accepted this end of a job, if another worker may have the job by now."""
    if outcome.status == READY or not attempt.claimed.is_doubtful:
        return False
    attempt.claimed.announcement = partial(_announce_end_elsewhere, attempt, outcome, sys.exception())
    return True


def _announce_end_elsewhere(attempt: Attempt, outcome: Outcome, error: BaseException | None) -> None:
    """``tell`` in another thread, and in another context, than the one in which the job ended with ``error``."""
    label(attempt.job)
    if error is None:
        tell(attempt, outcome)
        return
    try:
        raise error
    except BaseException:  # noqa: BLE001 - receivers find it in sys.exc_info()
        tell(attempt, outcome)


def tell(attempt: Attempt, outcome: Outcome) -> None:
    """Tell the log of a retry, or receivers of the end of the job. Nothing that is raised here changes the outcome."""
    try:
        if _log_end(attempt, outcome):
            announce(task_finished, attempt.result)
    except BaseException:
        logger.exception("The end of job %s could not be told", attempt.job.id)


def _log_end(attempt: Attempt, outcome: Outcome) -> bool:
    """Tell all but receivers; return whether it is their turn."""
    bind_duration(attempt.duration)
    if outcome.status == READY:
        log_retry(attempt, outcome)
        return False
    attempt.conclude(outcome)
    sentry.report(sys.exception())
    return True


def give_up(attempt: Attempt, error: JobTimeout) -> Outcome:
    """End a run that the caller has settled, because it cannot be ended in any better way."""
    label(attempt.job)
    attempt.duration = time.monotonic() - attempt.began_at
    logger.error("%s is given up: %s", attempt.job.task_path, "\n".join([str(error), *error.__notes__]))
    try:
        raise error
    except JobTimeout:
        outcome = attempt.failed(error)
        if not _must_be_accepted_first(attempt, outcome):
            tell(attempt, outcome)
        return outcome


def announce(signal: Signal, result: TaskResult[..., Any]) -> None:
    """Send ``signal``; a receiver that raises is logged and changes nothing."""
    try:
        signals.announce(signal, backend_class(result.task.backend), result)
    except BaseException:
        logger.exception("A receiver of a task signal raised")


async def aexecute(claimed: ClaimedJob, call: Callable[[Attempt], Awaitable[Any]]) -> Outcome | None:
    """Run a job as part of the running asyncio task; else like ``execute``."""
    label(claimed.job)
    attempt = prepare(claimed)
    if isinstance(attempt, Outcome):
        return attempt if claimed.settle(attempt) else None
    await aannounce(task_started, attempt.result)
    try:
        outcome = attempt.succeeded(await call(attempt))
    except BaseException as error:  # noqa: BLE001 - as above
        return await aconclude(attempt, attempt.failed(error))
    return await aconclude(attempt, outcome)


async def aconclude(attempt: Attempt, outcome: Outcome) -> Outcome | None:
    """``conclude`` on an event loop."""
    if not attempt.settle(outcome):
        return None
    if not _must_be_accepted_first(attempt, outcome):
        await aannounce_end(attempt, outcome)
    return outcome


async def aannounce_end(attempt: Attempt, outcome: Outcome) -> None:
    """``tell`` on an event loop."""
    try:
        if _log_end(attempt, outcome):
            await aannounce(task_finished, attempt.result)
    except BaseException:
        logger.exception("The end of job %s could not be told", attempt.job.id)


async def aannounce(signal: Signal, result: TaskResult[..., Any]) -> None:
    """``announce`` on an event loop: receivers are called in a thread, where they may use the database.

    Unless they are but Django's own, which only log: two changes of thread per job would be most of its cost. Not by
    ``asend_robust``, which before Django 6.1 loses the exception that receivers look for.
    """
    if all(_only_logs(entry[1]) for one in with_twin(signal) for entry in one.receivers):
        announce(signal, result)
        return
    try:
        await sync_to_async(announce)(signal, result)
    except asyncio.CancelledError:  # at a shutdown: what the run has come to stands
        logger.debug("The receivers of a task signal were cut off")


def _only_logs(receiver: Any) -> bool:
    if isinstance(receiver, weakref.ReferenceType):
        receiver = receiver()
    return getattr(receiver, "__module__", "") == f"{TASKS_LOGGER}.signals"


def log_retry(attempt: Attempt, outcome: Outcome) -> None:
    """Log that an attempt failed and when the next one is due. A job that was handed back has had none."""
    if outcome.spent and outcome.error is not None and outcome.run_after is not None:
        logger.warning(
            "%s: attempt %d of %d failed; the next one is due in %.1f s",
            attempt.job.task_path,
            attempt.job.attempt,
            attempt.policy.max_attempts,
            (outcome.run_after - utcnow()).total_seconds(),
            exc_info=True,  # noqa: LOG014 - within the handler of the exception
        )
