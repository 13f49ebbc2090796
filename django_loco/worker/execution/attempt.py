"""One attempt at a job: what is needed to call its task, and what its end means for the job."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from inspect import iscoroutine
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils import timezone

from ...conf import loco_settings
from ...core.compat import Task, TaskError, TaskResult
from ...core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, utcnow
from ...core.retry import Policy, exponential
from ...core.serialization import cut, decode, encode, require_result_size
from ...exceptions import Interrupted, InvalidSignature, UnknownTask
from ...log.labels import hide
from ...log.plain_text import one_line
from ...log.redaction import scrubbed, secrets_of
from ...log.safe import get_logger
from ...tasks.results import load_task, policy_of, result_of, stand_in
from ...tasks.signing import is_genuine
from ..claimed_job import ClaimedJob
from .context import JobContext
from .timeouts import within
from .unknown_task import is_over
from .unknown_task import put_off as put_off_missing

logger = get_logger("django_loco.worker")

#: When a job is offered again that could not be begun, here or to another worker.
NOT_BEGUN = timedelta(seconds=60)
#: When a job is gone on with that was interrupted by nobody but itself.
INTERRUPTION = timedelta(seconds=1)


def prepare(claimed: ClaimedJob) -> Attempt | Outcome:
    """Find the task of ``run`` and all that its call needs.

    Returns an ``Outcome`` instead if this process does not have the task: the job goes back, to wait for a worker
    that does. So does one whose claim was lost before it began, for others may be running it. A job that cannot be
    read as it is stored gets an attempt that fails, with the reason.
    """
    job = claimed.job
    if claimed.lost:
        return Outcome.released(job)
    if loco_settings().SIGN and not is_genuine(job):
        return _unsigned(claimed)
    try:
        task = load_task(job.task_path)
    except Exception as error:  # noqa: BLE001 - a module may raise anything when it is imported
        return _missing(claimed, error)
    try:
        return Attempt(claimed, task, result_of(job, task), policy_of(task, job))
    except Exception as error:  # noqa: BLE001 - its text and options may be anything, too
        return _unreadable(claimed, task, error)


def put_off(job: Job, error: BaseException) -> Outcome:
    """Return the outcome of a job that could not be begun, through no fault of its own."""
    released = Outcome.released(job, run_after=utcnow() + NOT_BEGUN, error=record_of(error))
    return replace(released, errors_kept=loco_settings().ERRORS_KEPT)


def _missing(claimed: ClaimedJob, error: Exception) -> Attempt | Outcome:
    job = claimed.job
    if not is_over(job):
        claimed.import_error = record_of(error)
        return put_off_missing(job, claimed.import_error)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise UnknownTask(
            f"{one_line(job.task_path)}: no worker has had this task for {loco_settings().UNKNOWN_TASK_TTL:g} s "
            f"(LOCO['UNKNOWN_TASK_TTL']), so job {job.id} fails: {one_line(error)}"
        ) from error

    return _refused(claimed, stand_in(job.task_path, job.backend), refuse)


def _unreadable(claimed: ClaimedJob, task: Task[..., Any], error: Exception) -> Attempt:
    job = claimed.job

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ValueError(
            f"{job.task_path}: job {job.id} cannot be run as it is stored: {type(error).__name__}: {error}"
        ) from error

    return _refused(claimed, task, refuse)


def _unsigned(claimed: ClaimedJob) -> Attempt:
    job = claimed.job

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise InvalidSignature(
            f"{one_line(job.task_path)}: job {job.id} does not run, for its signature is missing or wrong. It was "
            "enqueued without LOCO['SIGN'] or with another SECRET_KEY, or was changed in the store."
        )

    # Its task is not even looked for: the path of it may be anything.
    return _refused(claimed, stand_in(job.task_path, job.backend), refuse)


def _refused(claimed: ClaimedJob, task: Task[..., Any], refuse: Callable[..., Any]) -> Attempt:
    bare = replace(claimed.job, arguments="[[],{}]", options={})
    return Attempt(claimed, task, result_of(bare, task), Policy(), refuse)


def record_of(error: BaseException, secrets: Sequence[str] = ()) -> TaskError:
    """Return ``error`` as it is kept with the job: with its traceback, but for ``secrets`` and what is too much."""
    path = f"{type(error).__module__}.{type(error).__qualname__}"
    try:
        story = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - it may be broken in any way; what it raises when formatted is, too
        story = f"{path}: it has no traceback, for it cannot be formatted.\n"
    if secrets:  # first: half a secret would not be found
        story = scrubbed(story, secrets)
    most = loco_settings().MAX_TRACEBACK_SIZE
    return TaskError(exception_class_path=path, traceback=cut(story, most, "LOCO['MAX_TRACEBACK_SIZE']"))


class Attempt:
    """A task, ready to be called once. Made by ``prepare``."""

    __slots__ = ("began_at", "claimed", "duration", "function", "policy", "result", "secrets", "task")

    def __init__(
        self,
        claimed: ClaimedJob,
        task: Task[..., Any],
        result: TaskResult[..., Any],
        policy: Policy,
        function: Callable[..., Any] | None = None,
    ) -> None:
        """``function`` is what to call, if not the task's own."""
        self.claimed = claimed
        self.task = task
        self.result = result
        self.policy = policy
        self.function = function or task.func
        self.secrets = self._secrets(loco_settings().REDACT)
        """What of its arguments must not be told."""
        self.began_at = time.monotonic()
        """When the task was called (``time.monotonic()``, seconds)."""
        self.duration = 0.0
        """For how many seconds it ran, once the run is settled."""

    def _secrets(self, names: Collection[str]) -> tuple[str, ...]:
        if not names:
            return ()
        first = (None,) if self.task.takes_context else ()
        secrets = secrets_of(self.task.func, (*first, *self.result.args), self.result.kwargs, names)
        hide(secrets)
        return secrets

    @property
    def job(self) -> Job:
        """The job as it was fetched."""
        return self.claimed.job

    def settle(self, outcome: Outcome) -> bool:
        """Settle the run on ``outcome``; see ``Run.settle``."""
        self.duration = time.monotonic() - self.began_at
        return self.claimed.settle(outcome)

    def begin(self) -> Any:
        """Call the task's function; what comes back is a coroutine if it is an async one."""
        first = (self._context(),) if self.task.takes_context else ()
        self.began_at = time.monotonic()
        return self.function(*first, *self.result.args, **self.result.kwargs)

    def call(self) -> Any:
        """Call the task's function in this thread, also if it is an async one, and return its value."""
        value = self.begin()
        # Async on a thread: the code has changed since the job was enqueued, or the job runs inside ``enqueue()``.
        return async_to_sync(within)(self.policy.timeout, value) if iscoroutine(value) else value

    def _context(self) -> JobContext:
        timeout = self.policy.timeout
        if timeout is None:
            return JobContext(task_result=self.result, claimed=self.claimed)
        return JobContext(
            task_result=self.result,
            claimed=self.claimed,
            deadline=utcnow() + timedelta(seconds=timeout),
            ends_at=time.monotonic() + timeout,
        )

    def succeeded(self, value: Any) -> Outcome:
        """Return the outcome of a call that returned ``value``.

        Raises what ``encode`` does if that is not JSON, and ``ValueError`` for more than ``MAX_RESULT_SIZE`` bytes.
        """
        try:
            text = encode(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.job.task_path}: the return value cannot be stored as JSON. {error}") from None
        require_result_size(f"{self.job.task_path}: the return value", text)
        return Outcome(job=self.job, status=SUCCESSFUL, return_value=text)

    def failed(self, error: BaseException) -> Outcome:
        """Return the outcome of a call that ended with ``error``: another attempt, or the end."""
        if self.claimed.cancelled and isinstance(error, asyncio.CancelledError):
            return Outcome.released(self.job)
        if isinstance(error, Interrupted):
            return self._interrupted()
        again = self.policy.wants_retry(error, self.job.attempt)
        return Outcome(
            job=self.job,
            status=READY if again else FAILED,
            error=record_of(error, self.secrets),
            run_after=self._next_attempt_at(error) if again else None,
            errors_kept=loco_settings().ERRORS_KEPT,
        )

    def _interrupted(self) -> Outcome:
        """Return the outcome of a job that ended early; not to be begun anew at once, if there was no reason to."""
        return Outcome.released(self.job, run_after=None if self.claimed.stopping else utcnow() + INTERRUPTION)

    def _next_attempt_at(self, error: BaseException) -> datetime:
        try:
            return utcnow() + timedelta(seconds=self.policy.delay(error, self.job.attempt, self.result))
        except BaseException:
            logger.exception("The backoff of %s is of no use; 2 ** attempt seconds are used.", self.job.task_path)
            return utcnow() + timedelta(seconds=exponential(self.job.attempt))

    def conclude(self, outcome: Outcome) -> None:
        """Make the result what it is after ``outcome``, which is the end of the job."""
        # Django's own backends change their frozen results in this way, too; there is no other.
        change = partial(object.__setattr__, self.result)
        change("status", outcome.status)
        change("finished_at", outcome.at if settings.USE_TZ else timezone.make_naive(outcome.at))
        if outcome.error is not None:
            change("errors", [*self.result.errors, outcome.error])
        if outcome.return_value not in (None, "null"):
            change("_return_value", decode(outcome.return_value))
