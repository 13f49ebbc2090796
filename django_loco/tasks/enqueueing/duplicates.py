"""Handles duplicates: calls whose unique key another job holds. Such a call returns the result of the other job.

With ``"rerun"``, if the other job has begun, the call makes a job that follows it: see ``jobs.operations.reruns``.

The other job may give up the key after the queue has refused a job, and before its holder is looked up. Then the job
is offered again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from ...core.compat import TaskResult
from ...core.job import READY, RERUN, RUNNING, Job, Outcome, utcnow
from ...core.uniqueness import holds_key
from ...exceptions import DuplicateJob, QueueUnavailable
from ...jobs.operations import reruns
from ...jobs.operations.edits import signed_again
from ...log.plain_text import counted, one_line
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.base import Change
from ..job_result import JobResult, fill
from ..results import backend_class, shown_result_of
from ..signals import announce_end

logger = get_logger("django_loco.batches")

#: The holders of no keys.
NOBODY: Mapping[str, Job] = MappingProxyType({})
#: The fields that the newest call replaces in a job that has not begun.
REPLACED = ("arguments", "run_after", "expires_at", "priority", "limit_key")
#: How often a job is offered to the queue, if each time its key is given up before the holder is looked up.
ATTEMPTS = 100


class Handling(NamedTuple):
    """The handling of a duplicate."""

    action: str | None = None
    """The option ``on_duplicate``."""

    max_wait: timedelta | None = None
    """How long newer calls can put off a job, counted from its enqueue; ``None``: without a limit."""


KEEP = Handling()


def handling_of(task: Any) -> Handling:
    """Return how duplicates of calls of ``task`` are handled."""
    action: str | None = getattr(task, "on_duplicate", None)
    if action is None:
        return KEEP
    wait: float | timedelta | None = task.max_wait
    return Handling(action, wait if wait is None or isinstance(wait, timedelta) else timedelta(seconds=wait))


def store(
    queue: Queue, jobs: Sequence[Job], handling: Handling, add: Callable[[list[Job]], set[str]]
) -> tuple[set[str], Mapping[str, Job]]:
    """Store jobs with unique keys; return the ids of the stored ones, and by the ids of the others their holders.

    A holder is the job that holds the unique key of a job. ``add`` stores jobs, and returns the ids of the stored ones.
    With ``"replace"``, a holder that has not begun gets the ``REPLACED`` fields of the job. ``"rerun"`` does the same,
    and lets another job follow a holder that has begun. That job is among the stored ones, or among the holders.
    Raises ``QueueUnavailable``.
    """
    if handling.action == "rerun":
        return _with_reruns(queue, jobs, handling, add)
    stored: set[str] = set()
    holders: dict[str, Job] = {}
    rest = list(jobs)
    for _ in range(ATTEMPTS):
        stored |= add(rest)
        rest = [job for job in rest if job.id not in stored]
        if not rest:
            return stored, holders
        found = holders_of(queue, {str(job.unique_key) for job in rest})
        if handling.action == "replace":
            found = _replaced(queue, found, rest, handling.max_wait)
        holders |= {job.id: found[str(job.unique_key)] for job in rest if job.unique_key in found}
        rest = [job for job in rest if job.id not in holders]
        if not rest:
            return stored, holders
    raise QueueUnavailable(f"The unique key of {rest[0].task_path} changes hands all the time. Try again.")


def _with_reruns(
    queue: Queue, jobs: Sequence[Job], handling: Handling, add: Callable[[list[Job]], set[str]]
) -> tuple[set[str], Mapping[str, Job]]:
    """``store`` for ``"rerun"``."""
    last = {str(job.unique_key): job for job in jobs}
    after = {reruns.key_after(key): key for key in last}
    stored: set[str] = set()
    holders: dict[str, Job] = {}
    rest = dict(last)
    for _ in range(ATTEMPTS):
        # Jobs that follow come first. If a new job was stored before, they would run after it with older arguments.
        waiting = {after[key]: job for key, job in holders_of(queue, after.keys()).items() if after[key] in rest}
        reruns.take_back(queue, waiting.values())
        held = _replaced(queue, waiting, [*rest.values()], handling.max_wait)
        held = {key: job for key, job in held.items() if not (reruns.follows(job) and job.status == RUNNING)}
        free = [job for key, job in rest.items() if key not in waiting]
        stored |= add(free) if free else set()
        rest = {key: job for key, job in rest.items() if job.id not in stored and key not in held}
        holders |= held
        found = holders_of(queue, [*rest]) if rest else {}
        found = _replaced(queue, found, [*rest.values()], handling.max_wait)
        begun = {key for key, holder in found.items() if has_begun(holder)}
        holders |= {key: holder for key, holder in found.items() if key not in begun}
        if following := [reruns.following(rest[key]) for key in begun]:
            stored |= add(following)
        rest = {key: job for key, job in rest.items() if job.id not in stored and key not in holders}
        if not rest:
            reruns.settle(queue, last.keys())
            return stored, _by_id(jobs, last, stored, holders)
    raise QueueUnavailable(f"The unique key of {jobs[0].task_path} changes hands all the time. Try again.")


def _by_id(
    jobs: Sequence[Job], last: Mapping[str, Job], stored: Collection[str], holders: Mapping[str, Job]
) -> dict[str, Job]:
    """For each of ``jobs`` that was not stored, return by its id the job that runs in its place."""
    keys = {job.id: str(job.unique_key) for job in jobs if job.id not in stored}
    return {job_id: holders.get(key, last[key]) for job_id, key in keys.items()}


def has_begun(job: Job) -> bool:
    """Return whether ``job`` may run with the arguments that it has: it has begun, or may begin in another store."""
    return not reruns.follows(job) and (job.status != READY or job.started_at is not None or job.is_moving)


def holders_of(queue: Queue, keys: Collection[str]) -> Mapping[str, Job]:
    """Return the jobs that hold the unique ``keys``, by key.

    A job that has expired is ended first, as by a worker that claims it. In most cases its key is free then.
    """
    holders, now = queue.holders(keys), utcnow()
    ended = {key: Outcome.expired(job).applied() for key, job in holders.items() if _has_expired(job, now)}
    if not ended:
        return holders
    refused = queue.change([Change(before=holders[key], after=job) for key, job in ended.items()])
    announce_end(backend_class(queue.alias), [job for job in ended.values() if job.id not in refused])
    return {key: job for key, job in {**holders, **ended}.items() if key not in ended or holds_key(job, now)}


def _has_expired(job: Job, now: datetime) -> bool:
    waits = job.status == READY and not job.is_known_to_have_begun
    return waits and not job.is_moving and job.expires_at is not None and job.expires_at <= now


def may_be_replaced(holder: Job, job: Job) -> bool:
    """Return whether ``holder`` may get the call of ``job``."""
    waits = holder.status == READY and not has_begun(holder) and not holder.is_moving
    return waits and holder.task_path == job.task_path


def _replaced(
    queue: Queue, holders: Mapping[str, Job], jobs: Sequence[Job], max_wait: timedelta | None
) -> dict[str, Job]:
    """Give each holder that has not begun the call of the last of ``jobs`` with its key.

    Returns the holders as they are now. A holder that has begun, ended or changed meanwhile is left out.
    """
    newest = {str(job.unique_key): job for job in jobs}
    changes = {
        key: Change(before=holder, after=with_call_of(holder, newest[key], max_wait))
        for key, holder in holders.items()
        if may_be_replaced(holder, newest[key])
    }
    refused = queue.change([*changes.values()]) if changes else set()
    now = {key: change.after for key, change in changes.items() if change.after is not None}
    return {key: now.get(key, holder) for key, holder in holders.items() if holder.id not in refused}


def with_call_of(holder: Job, job: Job, max_wait: timedelta | None, **changed: Any) -> Job:
    """Return ``holder`` with the call of ``job``, and with the fields ``changed``."""
    newest: dict[str, Any] = {name: getattr(job, name) for name in REPLACED} | changed
    if reruns.follows(holder):
        newest |= {"options": reruns.following(job).options, "run_after": holder.run_after}
    elif max_wait is not None and job.run_after is not None:
        newest["run_after"] = min(job.run_after, max(holder.enqueued_at + max_wait, job.enqueued_at))
    return signed_again(holder, replace(holder, **newest))


def note(results: Sequence[TaskResult[..., Any]], holders: Mapping[str, Job], handling: Handling) -> None:
    """Fill the results whose ids are in ``holders`` with the results of the holders. May raise ``DuplicateJob``."""
    noted = [result for result in results if result.id in holders]
    for result in noted:
        theirs = result_of_duplicate(holders[result.id])
        fill(result, {each.name: getattr(theirs, each.name) for each in fields(JobResult)})
    if handling.action == "raise":
        raise _error(noted[0], results)


def log_left_out(jobs: Sequence[Job], holders: Mapping[str, Job]) -> None:
    """Log that the batch of ``jobs`` does not wait for the ``holders`` that are not members of the batch."""
    others = [holders[job.id] for job in jobs if job.id in holders and holders[job.id].batch != job.batch]
    if others and jobs[0].batch is not None:
        text = (
            "Batch %s does not wait for %s of %s: other jobs have the unique keys, such as %s. See using(unique=False)"
        )
        calls = counted(len(others), "call", "calls")
        logger.warning(text, jobs[0].batch, calls, one_line(jobs[0].task_path), others[0].id)


def mark(results: Sequence[TaskResult[..., Any] | None], jobs: Sequence[Job]) -> None:
    """Mark each result of a job that runs in place of the one in ``jobs``."""
    for result, job in zip(results, jobs, strict=False):
        if result is not None and result.id != job.id:
            fill(result, {"duplicate": True})


def refuse(queue: Queue, jobs: Sequence[Job]) -> None:
    """Raise ``DuplicateJob`` if another job holds the key of one of ``jobs``, or two of them have the same."""
    keys: set[str] = set()
    for holder in holders_of(queue, {str(job.unique_key) for job in jobs}).values():
        raise _error(result_of_duplicate(holder), ())
    for job in jobs:
        if job.unique_key in keys:
            raise _error(result_of_duplicate(job), ())
        keys.add(str(job.unique_key))


def follow(queue: Queue, job: Job) -> Job | None:
    """With ``"rerun"``, let a job follow the holder of the unique key of ``job``, and return it; else ``None``."""
    if RERUN not in job.options:
        return None
    _, holders = _with_reruns(queue, [job], Handling("rerun"), lambda few: {each.id for each in queue.enqueue(few)})
    return holders.get(job.id) or queue.get(job.id)


def take_following(queue: Queue, job: Job) -> Job | None:
    """Remove the job that follows ``job``, which has ended, from the queue, and return it; ``None`` if none does."""
    if RERUN not in job.options or job.unique_key is None:
        return None
    reruns.settle(queue, [job.unique_key])
    following = queue.holders([job.unique_key]).get(job.unique_key)
    if following is None or following.status != READY or queue.change([Change(before=following, after=None)]):
        return None
    return replace(following, key=None, run_after=None)  # its once-key stays known


def result_of_duplicate(holder: Job) -> TaskResult[..., Any]:
    """Return the result of a call in whose place ``holder`` runs, or whose key it holds."""
    result = shown_result_of(holder)
    fill(result, {"duplicate": True})
    return result


def _error(result: TaskResult[..., Any], results: Sequence[TaskResult[..., Any]]) -> DuplicateJob:
    name = result.task.module_path
    return DuplicateJob(f"Job {result.id} ({name}) has the unique key already.", result=result, results=results)
