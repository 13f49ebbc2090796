"""Runs one attempt at a job, from its task to its outcome. The call of the function itself is ``Attempt.begin``.

``execute`` runs a job in the calling thread, ``aexecute`` on an event loop. They share every step except the call:

    prepare -> task_started -> call -> succeeded or failed -> decide -> task_finished

Each needs a ``contextvars`` context of its own (``context_for_jobs``), which it labels for the log. No job sees the
context variables of another job, of a request, or of the thread that runs it. A copy of the thread's context is not
enough: its values are shared with the original, so a job could change an object in it (the scope of an error tracker, a
dictionary of log fields) for all jobs that follow.

No exception of a task, a receiver or a logging handler, not even ``SystemExit``, leaves this module. Once the outcome
of a job is decided, it is returned, even if something raises after that. A fork that a job makes inside ``enqueue()``
is another case: it goes on with the code of the caller, so what the job raises there is raised again.

When an end is announced
------------------------
``task_finished`` is sent right after the call, in the job's thread and context, before the queue is asked to store the
outcome. So receivers find the exception in ``sys.exc_info()`` and can use the thread's connection. At that time this
worker is known to have the claim. If another worker may have it (the lease was not renewed, or the queue has refused a
write), the signal is sent after the queue has accepted the outcome, and is not sent if the queue refuses it.

If a worker dies after the signal and before the outcome is stored, the job runs again, and its end is announced again.
So each end is announced at least once. A receiver can recognise the second announcement by the result's id.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async

from ...core.compat import task_backends, task_started
from ...core.job import READY, SUCCESSFUL, Outcome
from ...core.job.waits import pending_waits
from ...core.threads import new_context
from ...exceptions import RAISED_INTO_JOBS, JobCancelled, JobTimeout
from ...log import job_lines, sentry, tracing
from ...log.labels import bind, bind_duration
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ..claimed_job import ClaimedJob
from .announcements import (
    aannounce,
    aannounce_finished,
    aannounce_retry,
    announce,
    announce_finished,
    announce_retry,
    has_discarded_itself,
    is_retry,
    label,
)
from .attempt import Attempt
from .context import has_unsaved, save_rest
from .errors import ungrouped
from .preparation import prepare
from .steps.waits_in_words import length_text, time_until, waits_text

logger = get_logger("django_loco.worker")


def context_for_jobs(alias: str) -> Context:
    """Return the context that is copied for each job. It has only the log's component and the Tasks backend.

    Django keeps its backends in the context, and would make a new one for each job. Call this in the thread that uses
    the context: see ``new_context``.
    """
    context = new_context()
    context.run(bind, component="worker")
    context.run(task_backends.__getitem__, alias)
    return context


def execute(claimed: ClaimedJob, call: Callable[[Attempt], Any] = Attempt.call) -> Outcome | None:
    """Run a job in this thread and return its outcome; ``None`` if another thread has decided on one.

    ``call`` calls the task; a pool enforces its time limit there.
    """
    label(claimed.job)
    attempt = prepare(claimed)
    if isinstance(attempt, Outcome):
        return attempt if claimed.decide(attempt) else None
    claimed.span = tracing.start(attempt.job)
    job_lines.started(attempt.job)
    attempt.keep_log()
    announce(task_started, attempt.result)
    try:
        outcome = attempt.succeeded(call(attempt))
    except BaseException as error:
        if claimed.is_forked:  # inside ``enqueue()``: the caller's code goes on; elsewhere the fork has ended
            raise
        # Inside the handler, so that receivers find the exception in sys.exc_info(): Django's logs it from there.
        return _conclude(attempt, attempt.failed(error))
    return _conclude(attempt, outcome)


def _conclude(attempt: Attempt, outcome: Outcome) -> Outcome | None:
    """Decide on the outcome of an attempt and announce its end; ``None`` if another thread has decided."""
    if attempt.claimed.is_forked:  # as above; the original announces the end
        return outcome
    if has_unsaved(attempt.claimed, attempt.result):
        save_rest(attempt.claimed, attempt.result)
    if not attempt.decide(outcome):
        return None
    _announce_or_defer(attempt, outcome)
    return outcome


def _announce_or_defer(attempt: Attempt, outcome: Outcome) -> None:
    if _is_doubtful(attempt, outcome):
        _defer_announcement(attempt, outcome)
    else:
        _announce_end(attempt, outcome)


def _is_doubtful(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether another worker may have the job by now, so that the queue may refuse this end of it."""
    return outcome.status != READY and attempt.claimed.is_doubtful


def _defer_announcement(attempt: Attempt, outcome: Outcome) -> None:
    """Let the end be announced when the queue has accepted it."""
    attempt.claimed.announcement = partial(_announce_end_elsewhere, attempt, outcome, sys.exception())


def _announce_end_elsewhere(attempt: Attempt, outcome: Outcome, error: BaseException | None) -> None:
    """``_announce_end`` in another thread and context than those in which the job ended with ``error``."""
    label(attempt.job)
    if error is None:
        _announce_end(attempt, outcome)
        return
    try:
        raise error
    except BaseException:  # noqa: BLE001 - receivers find it in sys.exc_info()
        _announce_end(attempt, outcome)


def _announce_end(attempt: Attempt, outcome: Outcome) -> None:
    """Log and announce a retry or the end. Nothing that is raised here changes the outcome."""
    try:
        _record_end(attempt, outcome)
        if outcome.status != READY:
            announce_finished(attempt.result, is_cancelled=_is_cancelled(attempt, outcome))
        elif is_retry(outcome):
            announce_retry(attempt.result, outcome, sys.exception())
    except BaseException:
        logger.exception("The end of job %s could not be announced", attempt.job.id)


def _is_cancelled(attempt: Attempt, outcome: Outcome) -> bool:
    return attempt.claimed.cancelled is not None or outcome.kind == "cancelled"


def _record_end(attempt: Attempt, outcome: Outcome) -> None:
    """Log the end of an attempt. If the job has ended, update the result, and report an error to Sentry."""
    bind_duration(attempt.duration)
    if outcome.status == READY:
        _log_next_run(attempt, outcome)
        return
    attempt.conclude(outcome)
    if outcome.status == SUCCESSFUL:
        job_lines.done(attempt.job, attempt.duration)
    elif (error := sys.exception()) is not None:
        _record_failure(attempt, ungrouped(error))


def _record_failure(attempt: Attempt, error: BaseException) -> None:
    if attempt.claimed.cancelled:
        return  # which is logged when the worker notices it
    if has_discarded_itself(attempt.result):
        logger.info("%s has discarded itself: %s", one_line(attempt.job.task_path), one_line(error))
    else:
        sentry.report(error)


def give_up(attempt: Attempt, error: JobTimeout | JobCancelled) -> Outcome:
    """Fail a job that cannot be stopped, after the caller has decided on its outcome."""
    label(attempt.job)
    attempt.duration = attempt.claimed.duration = time.monotonic() - attempt.began_at
    with sentry.without_event():
        logger.error("%s is given up: %s", attempt.job.task_path, "\n".join([str(error), *error.__notes__]))
    try:
        raise error
    except RAISED_INTO_JOBS:
        outcome = attempt.claimed.outcome = attempt.failed(error)
        attempt.claimed.end_span(outcome, attempt.secrets)
        _announce_or_defer(attempt, outcome)
        return outcome


async def aexecute(claimed: ClaimedJob, call: Callable[[Attempt], Awaitable[Any]]) -> Outcome | None:
    """``execute`` on an event loop, as part of the running asyncio task."""
    label(claimed.job)
    attempt = prepare(claimed)
    if isinstance(attempt, Outcome):
        return attempt if claimed.decide(attempt) else None
    claimed.span = tracing.start(attempt.job)
    job_lines.started(attempt.job)
    attempt.keep_log()
    await aannounce(task_started, attempt.result)
    try:
        outcome = attempt.succeeded(await call(attempt))
    except BaseException as error:  # noqa: BLE001 - as above
        return await _aconclude(attempt, attempt.failed(error))
    return await _aconclude(attempt, outcome)


async def _aconclude(attempt: Attempt, outcome: Outcome) -> Outcome | None:
    """``conclude`` on an event loop."""
    if has_unsaved(attempt.claimed, attempt.result):
        try:
            await sync_to_async(save_rest)(attempt.claimed, attempt.result)
        except asyncio.CancelledError:  # at a shutdown: the outcome of the job stands
            logger.debug("The last metadata and progress of job %s were not stored in time", attempt.job.id)
        except RuntimeError:  # the system has no more threads
            logger.exception("The last metadata and progress of job %s are not stored", attempt.job.id)
    if not attempt.decide(outcome):
        return None
    if _is_doubtful(attempt, outcome):
        _defer_announcement(attempt, outcome)
    else:
        await _aannounce_end(attempt, outcome)
    return outcome


async def _aannounce_end(attempt: Attempt, outcome: Outcome) -> None:
    """``_announce_end`` on an event loop."""
    try:
        _record_end(attempt, outcome)
        if outcome.status != READY:
            await aannounce_finished(attempt.result, is_cancelled=_is_cancelled(attempt, outcome))
        elif is_retry(outcome):
            await aannounce_retry(attempt.result, outcome, sys.exception())
    except BaseException:
        logger.exception("The end of job %s could not be announced", attempt.job.id)


def _log_next_run(attempt: Attempt, outcome: Outcome) -> None:
    """Log when the next run is due, after an attempt that failed or a job that has put itself off."""
    path = one_line(attempt.job.task_path)
    if outcome.closes:
        logger.info(
            "%s was throttled; %s is closed for %s", path, ", ".join(outcome.closes), length_text(outcome.closed_for)
        )
    if outcome.run_after is None:
        return
    if outcome.snoozed and (waits := pending_waits(outcome.applied())):
        logger.info("%s %s", path, waits_text(waits))
    elif outcome.snoozed:
        logger.info("%s is snoozed; the next run is due in %s", path, time_until(outcome.run_after))
    elif is_retry(outcome):
        logger.warning(
            "%s: attempt %d of %d failed; the next one is due in %s",
            attempt.job.task_path,
            attempt.job.attempt,
            attempt.policy.max_attempts,
            time_until(outcome.run_after),
            exc_info=True,  # noqa: LOG014 - within the handler of the exception
        )
