"""The outcomes of jobs that a pool cannot run to their end."""

from __future__ import annotations

from functools import partial
from threading import current_thread

from ...conf import loco_settings
from ...core.job import FAILED, READY, Job, Outcome, utcnow
from ...core.threads import new_context
from ...exceptions import JobCancelled, JobTimeout
from ...tasks.results import load_task
from ...tasks.stored.policy import policy_of
from ..claimed_job import ClaimedJob
from ..execution.announcements import announce_unfinished
from ..execution.attempt import NOT_BEGUN_DELAY, Attempt, put_off_unstarted
from ..execution.errors import CANCELLED, record_of, too_long
from ..execution.executor import give_up

#: What to do about a job that cannot be interrupted.
NOT_INTERRUPTED = (
    "A job is interrupted between two steps of Python only, and may catch the exception. "
    "Wait in short steps, and give calls of other servers a timeout of their own."
)


def give_up_stuck(attempt: Attempt, place: str) -> Outcome:
    """Give up a job that could not be interrupted, and return its outcome. ``place``: "its thread was at" a stack.

    The caller has decided on the job. This thread announces its end.
    """
    attempt.claimed.thread = current_thread()
    error = _unstoppable(attempt.claimed, attempt.policy.timeout)
    error.add_note(NOT_INTERRUPTED)
    error.add_note(f"When it was given up, {place}")
    return new_context().run(give_up, attempt, error)


def _unstoppable(claimed: ClaimedJob, timeout: float | None) -> JobTimeout | JobCancelled:
    if claimed.cancelled:
        return JobCancelled(f"{CANCELLED} and could not be interrupted")
    return JobTimeout(f"{too_long(timeout or 0)} and could not be interrupted")


def end_unfinished(claimed: ClaimedJob, error: BaseException) -> Outcome | None:
    """Return the outcome that was decided on, or else an outcome for ``error``, which is not the job's own error.

    ``None`` means the same as in ``ClaimedJob.outcome_or``. If the job's function was not called, the job is put off
    and spends no attempt. Otherwise the attempt has failed, because the same may happen in each run.
    """
    own = put_off_unstarted(claimed.job, error) if claimed.began_at is None else _failed(claimed.job, error)
    outcome = claimed.outcome_or(own)
    if outcome is own and own.status == FAILED:
        claimed.announcement = partial(announce_unfinished, own.applied())
    return outcome


def _failed(job: Job, error: BaseException) -> Outcome:
    again = job.attempt < _max_attempts(job)
    return Outcome(
        job=job,
        status=READY if again else FAILED,
        run_after=utcnow() + NOT_BEGUN_DELAY if again else None,
        error=record_of(error),
        errors_kept=loco_settings().ERRORS_KEPT,
    )


def _max_attempts(job: Job) -> int:
    try:
        return policy_of(load_task(job.task_path), job).max_attempts
    except Exception:  # noqa: BLE001 - importing a module may raise anything
        return 1
