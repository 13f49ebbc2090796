"""Finds the task and the arguments of a job before it runs. Decides which jobs do not begin, and which fail."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from ...conf import loco_settings
from ...core.compat import Task
from ...core.job import RERUN, Outcome
from ...core.job.retry import Policy
from ...core.job.unknown_task import without_record
from ...exceptions import InvalidSignature, UnknownTask
from ...jobs.operations import reruns
from ...jobs.signing import is_genuine
from ...log.plain_text import one_line
from ...tasks.results import load_task, result_of, stand_in
from ...tasks.stored.policy import policy_of
from ..claimed_job import ClaimedJob
from .announcements import announce_expired
from .attempt import Attempt
from .errors import record_of
from .unknown_task import is_over, put_off_unknown


def prepare(claimed: ClaimedJob) -> Attempt | Outcome:
    """Return the attempt at a job, with its task and arguments.

    Returns an ``Outcome`` instead if the job does not begin, or if this process does not have the task, so that the job
    has to wait for another worker. For a job that cannot be read, returns an attempt that fails and says why.
    """
    job = claimed.job
    if outcome := _not_begun(claimed):
        return outcome
    if loco_settings().SIGN and not is_genuine(job):
        return _unsigned(claimed)
    try:
        task = load_task(job.task_path)
    except Exception as error:  # noqa: BLE001 - importing a module may raise anything
        return _without_task(claimed, error)
    claimed.job = job = without_record(job)  # if the task is missing again, its time starts again
    try:
        return Attempt(claimed, task, result_of(job, task), policy_of(task, job), task.func)
    except Exception as error:  # noqa: BLE001 - its stored text and options may be broken in any way
        return _unreadable(claimed, task, error)


def _not_begun(claimed: ClaimedJob) -> Outcome | None:
    """Return the outcome of a job that must not begin; ``None`` if it may begin.

    A job does not begin if it or its claim has expired, if it follows another job, or if one of its limits was closed
    since it was fetched.
    """
    limit_key = claimed.job.limit_key
    if claimed.expired or (limit_key is not None and claimed.closed_limits.refuse(limit_key, claimed.fetched_at)):
        return Outcome.released(claimed.job)
    if claimed.is_too_late:
        outcome = Outcome.expired(claimed.job)
        claimed.announcement = partial(announce_expired, outcome.applied())
        return outcome
    if RERUN in claimed.job.options and reruns.follows(claimed.job) and claimed.queue is not None:
        claimed.announcement = partial(reruns.settle, claimed.queue, [reruns.key_before(claimed.job)])
        return reruns.put_off(claimed.job)
    return None


def _without_task(claimed: ClaimedJob, error: Exception) -> Attempt | Outcome:
    job = claimed.job
    if not is_over(job):
        claimed.import_error = record_of(error)
        return put_off_unknown(job, claimed.import_error)
    text = (
        f"{one_line(job.task_path)}: no worker has had this task for {loco_settings().UNKNOWN_TASK_TTL:g} s "
        f"(LOCO['UNKNOWN_TASK_TTL']), so job {job.id} fails: {one_line(error)}"
    )
    return _refused(claimed, stand_in(job.task_path, job.backend), UnknownTask(text), error)


def _unreadable(claimed: ClaimedJob, task: Task[..., Any], error: Exception) -> Attempt:
    job = claimed.job
    text = f"{job.task_path}: job {job.id} cannot be run as it is stored: {type(error).__name__}: {error}"
    return _refused(claimed, task, ValueError(text), error)


def _unsigned(claimed: ClaimedJob) -> Attempt:
    job = claimed.job
    text = (
        f"{one_line(job.task_path)}: job {job.id} does not run, because its signature is missing or wrong. It was "
        "enqueued without LOCO['SIGN'] or with another SECRET_KEY, or was changed in the store."
    )
    # Its task is not imported: the path may be anything.
    return _refused(claimed, stand_in(job.task_path, job.backend), InvalidSignature(text))


def _refused(claimed: ClaimedJob, task: Task[..., Any], error: Exception, cause: Exception | None = None) -> Attempt:
    """Return an attempt that fails with ``error``, without calling the task."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise error from cause

    bare = replace(claimed.job, arguments="[[],{}]", options={})
    return Attempt(claimed, task, result_of(bare, task), Policy(), refuse)
