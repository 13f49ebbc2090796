"""One attempt at a job: calls its task, and turns its end into an outcome.

``failed`` decides what each exception means, among them ``Interrupted``, ``Snooze``, ``Throttled`` and ``Discard``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from inspect import iscoroutine
from threading import get_ident
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils import timezone

from ... import carry
from ...conf import loco_settings
from ...core.compat import Task, TaskResult
from ...core.job import CARRY, FAILED, READY, SUCCESSFUL, Job, Outcome, utcnow
from ...core.job.limits import keys_of, name_of
from ...core.job.retry import Policy, exponential
from ...core.serialization import decode, encode, require_result_size
from ...core.threads.monotonic import monotonic
from ...core.threads.stray_forks import ForksEndHere
from ...exceptions import (
    Discard,
    Interrupted,
    InvalidStep,
    JobCancelled,
    JobTimeout,
    SignalTimeout,
    Snooze,
    Throttled,
)
from ...jobs.operations.workflows.results import takes_result, taking_results
from ...log.redaction import hide, secrets_of
from ...log.safe import get_logger
from ...queues.claim import declared_limits
from ..claimed_job import ClaimedJob
from .context import JobContext
from .errors import (
    CANCELLED,
    END_REQUESTS,
    CannotBegin,
    explain_misfit,
    is_of_cancellation,
    record_of,
    too_long,
    ungrouped,
)
from .kept_log import KeptLog
from .steps.suspension import with_steps
from .steps.waits import beside_suspension, outcome_of, require_running

logger = get_logger("django_loco.worker")

#: The delay before a job that could not be started is fetched again, by this or another worker.
NOT_BEGUN_DELAY = timedelta(seconds=60)
#: The delay before a job runs again if it raised ``Interrupted`` although the worker was not stopping, or ``Snooze``
#: with a time that has passed.
INTERRUPTION_DELAY = timedelta(seconds=1)


async def within(seconds: float | None, awaitable: Awaitable[Any]) -> Any:
    """Await for up to ``seconds`` (``None``: without a limit). Raises ``JobTimeout``."""
    if seconds is None:
        return await awaitable
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await awaitable
    except TimeoutError as error:
        if limit.expired():
            raise JobTimeout(too_long(seconds)) from error
        raise


async def _elsewhere(seconds: float | None, awaitable: Awaitable[Any], caller: int) -> Any:
    """``within`` for ``async_to_sync``. A fork made in another thread than ``caller`` ends here."""
    with nullcontext() if get_ident() == caller else ForksEndHere():
        return await within(seconds, awaitable)


def put_off_unstarted(job: Job, error: BaseException) -> Outcome:
    """Return the outcome of a job that could not be started for a reason outside of the job. It spends no attempt."""
    released = Outcome.released(job, run_after=utcnow() + NOT_BEGUN_DELAY, error=record_of(error))
    return replace(released, errors_kept=loco_settings().ERRORS_KEPT)


@dataclass(slots=True, eq=False)
class Attempt:
    """A task that is ready to be called, once. Made by ``preparation.prepare``."""

    claimed: ClaimedJob
    task: Task[..., Any]
    result: TaskResult[..., Any]
    policy: Policy
    function: Callable[..., Any]
    """The function to call: the task's own, or one that refuses the job."""

    secrets: tuple[str, ...] = ()
    """The texts of arguments that must not be shown."""

    began_at: float = field(default_factory=time.monotonic)
    """The time of the call (``time.monotonic()``, seconds)."""

    duration: float = 0.0
    """The seconds that it ran; set when its outcome is decided."""

    def __post_init__(self) -> None:
        self.secrets = self._secrets(loco_settings().REDACT)

    def _secrets(self, names: Collection[str]) -> tuple[str, ...]:
        if not names:
            return ()
        first = (None,) * (self.task.takes_context + self.takes_result)
        secrets = secrets_of(self.task.func, (*first, *self.result.args), self.result.kwargs, names)
        hide(secrets)
        return secrets

    @property
    def job(self) -> Job:
        """The job as it was fetched."""
        return self.claimed.job

    @property
    def takes_result(self) -> bool:
        """Whether its first argument is the result of earlier nodes of a workflow."""
        return takes_result(self.job) and self.function is self.task.func

    def keep_log(self) -> None:
        """Keep what this thread or asyncio task logs from now on, if the options of the job say so."""
        if level := self.policy.keep_log:
            self.claimed.kept_log = KeptLog(self.job, str(level), self.secrets)
            self.claimed.kept_log.begin()

    def decide(self, outcome: Outcome) -> bool:
        """Decide on ``outcome``; see ``ClaimedJob.decide``."""
        self.duration = self.claimed.duration = time.monotonic() - self.began_at
        if not self.claimed.decide(outcome):
            return False
        self.claimed.end_span(outcome, self.secrets)
        return True

    def begin(self) -> Any:
        """Call the task's function and return its value, or its coroutine if it is async.

        Raises ``JobCancelled`` if somebody has cancelled the job while it waited here for a thread.
        """
        if self.claimed.cancelled:
            raise JobCancelled(CANCELLED)
        first = (self._context(),) if self.task.takes_context else ()
        self.began_at = self.claimed.began_at = time.monotonic()
        function = taking_results(self.job, self.function, len(first)) if self.takes_result else self.function
        args = (*first, *self.result.args)
        if self.job.options and (carried := self.job.options.get(CARRY)):
            return carry.call(carried, function, args, self.result.kwargs)
        return function(*args, **self.result.kwargs)

    def call(self) -> Any:
        """Call the task's function in this thread, even if it is async, and return its value."""
        try:
            value = self.begin()
            # An async task runs on a thread if it was sync when the job was enqueued, or inside ``enqueue()``.
            if iscoroutine(value):
                value = async_to_sync(_elsewhere)(self.policy.timeout, with_steps(self.claimed, value), get_ident())
        except BaseException as error:
            self.claimed.end_fork(error)
            raise
        self.claimed.end_fork()
        return value

    def _context(self) -> JobContext:
        timeout = self.policy.timeout
        if timeout is None:
            return JobContext(task_result=self.result, claimed=self.claimed)
        return JobContext(
            task_result=self.result,
            claimed=self.claimed,
            deadline=utcnow() + timedelta(seconds=timeout),
            ends_at=monotonic() + timeout,
        )

    def succeeded(self, value: Any) -> Outcome:
        """Return the outcome of a call that returned ``value``.

        Raises the errors of ``encode`` if ``value`` is not JSON, and ``ValueError`` above ``MAX_RESULT_SIZE`` bytes.
        """
        if self.claimed.cancelled:
            return self._cancelled()
        require_running(self.claimed)
        try:
            text = encode(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.job.task_path}: the return value cannot be stored as JSON. {error}") from None
        require_result_size(f"{self.job.task_path}: the return value", text)
        return Outcome(job=self.job, status=SUCCESSFUL, return_value=text)

    def failed(self, error: BaseException) -> Outcome:
        """Return the outcome of a call that ended with ``error``: another attempt, or the end."""
        if self.claimed.cancelled:
            return self._cancelled()
        if early := self._put_off(error) or outcome_of(self.claimed, error):
            return early
        beside = beside_suspension(error)
        error = ungrouped(error if beside is None else beside)  # not ``or``: the exception may have no truth value
        if isinstance(error, Interrupted):
            return self._interrupted()
        if isinstance(error, Snooze | Throttled):
            return self._snoozed(error) if isinstance(error, Snooze) else self._throttled(error)
        if self.claimed.released and not isinstance(error, END_REQUESTS) and is_of_cancellation(error):
            return Outcome.released(self.job)
        if isinstance(error, SignalTimeout):
            self.claimed.timed_out = error.name
        if isinstance(error, TypeError):
            given = self.task.takes_context + self.takes_result + len(self.result.args)
            explain_misfit(error, self.function, given, self.result.kwargs)
        again = not isinstance(error, Discard | InvalidStep | SignalTimeout) and self.policy.wants_retry(
            error, self.job.attempt
        )
        return Outcome(
            job=self.job,
            status=READY if again else FAILED,
            error=record_of(error, self.secrets),
            run_after=self._next_attempt_at(error) if again else None,
            errors_kept=loco_settings().ERRORS_KEPT,
        )

    def _put_off(self, error: BaseException) -> Outcome | None:
        """Return the outcome of a job that could not be called; ``None`` inside ``enqueue()``, where it fails."""
        if not isinstance(error, CannotBegin) or not self.claimed.started:
            return None
        logger.error("Job %s could not be run", self.job.id, exc_info=error)
        return put_off_unstarted(self.job, error)

    def _cancelled(self) -> Outcome:
        """Return the outcome of a job that somebody cancelled. The queue has stored this outcome already."""
        return Outcome(job=self.job, status=FAILED, error=self.claimed.cancelled)

    def _interrupted(self) -> Outcome:
        """Return the outcome of a job that ended early. It is handed back, at once if the worker is stopping."""
        return Outcome.released(self.job, run_after=None if self.claimed.stopping else utcnow() + INTERRUPTION_DELAY)

    def _throttled(self, error: Throttled) -> Outcome:
        keys = tuple(key for key in keys_of(self.job.limit_key or "") if key and error.limit in (None, name_of(key)))
        if not keys:
            return self._snoozed(Snooze(error.delay))
        seconds = error.delay.total_seconds()
        # A limit that is not declared holds no job back: the store would hand over this job and others at once.
        declared = [key for key in keys if name_of(key) in declared_limits()]
        self.claimed.closed_limits.close(declared, seconds)
        outcome = Outcome.released(self.job) if declared else self._snoozed(Snooze(error.delay))
        return replace(outcome, snoozed=True, closes=keys, closed_for=seconds)

    def _snoozed(self, snooze: Snooze) -> Outcome:
        now = utcnow()
        due_at = snooze.due_at(now)
        released = Outcome.released(self.job, run_after=due_at if due_at > now else now + INTERRUPTION_DELAY)
        return replace(released, snoozed=True)

    def _next_attempt_at(self, error: BaseException) -> datetime:
        try:
            return utcnow() + timedelta(seconds=self.policy.delay(error, self.job.attempt, self.result))
        except BaseException:
            logger.exception("The backoff of %s cannot be used; it is 2 ** attempt seconds instead", self.job.task_path)
            return utcnow() + timedelta(seconds=exponential(self.job.attempt))

    def conclude(self, outcome: Outcome) -> None:
        """Update the result with ``outcome``, the end of the job."""
        # Django's own backends change their frozen results in the same way.
        change = partial(object.__setattr__, self.result)
        change("status", outcome.status)
        at = outcome.at if settings.USE_TZ else timezone.make_naive(outcome.at, timezone.get_default_timezone())
        change("finished_at", at)
        if outcome.error is not None:
            change("errors", [*self.result.errors, outcome.error])
        if outcome.return_value not in (None, "null"):
            change("_return_value", decode(outcome.return_value))
