"""What becomes of a call whose unique key another job holds: its result is that of the other job.

A key may be given up between the attempt to store a job and the look at who has it. Then the job is stored after all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ..core.compat import TaskResult
from ..core.job import READY, Job, Outcome, utcnow
from ..exceptions import DuplicateJob, QueueUnavailable
from ..jobs.operations.edits import signed_again
from ..queues import Queue
from ..queues.base import Change
from .job_result import JobResult, fill
from .results import backend_class, shown_result_of
from .stored.jobs import announce_end

#: The holders of no keys.
NOBODY: Mapping[str, Job] = MappingProxyType({})
#: The fields of a job that has not begun which the newest call replaces.
REPLACED = ("arguments", "run_after", "expires_at", "priority")
#: How often a job is offered whose key is given up each time before somebody has looked who holds it.
ATTEMPTS = 100


def store(
    queue: Queue, jobs: Sequence[Job], on_duplicate: str | None, add: Callable[[list[Job]], set[str]]
) -> tuple[set[str], Mapping[str, Job]]:
    """Store jobs with unique keys; return the ids of those stored, and by the ids of the others who holds their keys.

    ``add`` stores jobs, and returns the ids of those stored. To ``"replace"`` means that a holder that has not begun
    gets the ``REPLACED`` fields of the job. Raises ``QueueUnavailable``.
    """
    stored: set[str] = set()
    holders: dict[str, Job] = {}
    rest = list(jobs)
    for _ in range(ATTEMPTS):
        stored |= add(rest)
        rest = [job for job in rest if job.id not in stored]
        if not rest:
            return stored, holders
        found = _without_expired(queue, queue.holders({str(job.unique_key) for job in rest}))
        if on_duplicate == "replace":
            found = _replaced(queue, found, rest)
        holders |= {job.id: found[str(job.unique_key)] for job in rest if job.unique_key in found}
        rest = [job for job in rest if job.id not in holders]
        if not rest:
            return stored, holders
    raise QueueUnavailable(f"The unique key of {rest[0].task_path} changes hands all the time. Try again.")


def _without_expired(queue: Queue, holders: Mapping[str, Job]) -> Mapping[str, Job]:
    """End the holders that have expired, as a worker would that takes them; return the others. Their keys are free."""
    now = utcnow()
    expired = {key: job for key, job in holders.items() if _has_expired(job, now)}
    if not expired:
        return holders
    ended = [Outcome.expired(job).applied() for job in expired.values()]
    refused = queue.change(
        [Change(before=job, after=after) for job, after in zip(expired.values(), ended, strict=True)]
    )
    announce_end(backend_class(queue.alias), [job for job in ended if job.id not in refused])
    return {key: job for key, job in holders.items() if key not in expired}


def _has_expired(job: Job, now: datetime) -> bool:
    waits = job.status == READY and not job.is_known_to_have_begun
    return waits and job.expires_at is not None and job.expires_at <= now


def _replaced(queue: Queue, holders: Mapping[str, Job], jobs: Sequence[Job]) -> dict[str, Job]:
    """Let holders that have not begun do what the last of ``jobs`` with their key would do.

    Returns the holders as they are now, without those that have begun, ended or changed meanwhile.
    """
    newest = {str(job.unique_key): job for job in jobs}
    changes = {
        key: Change(before=holder, after=_with_call_of(holder, newest[key]))
        for key, holder in holders.items()
        if holder.status == READY and holder.started_at is None and holder.task_path == newest[key].task_path
    }
    refused = queue.change([*changes.values()]) if changes else set()
    now = {key: change.after for key, change in changes.items() if change.after is not None}
    return {key: now.get(key, holder) for key, holder in holders.items() if holder.id not in refused}


def _with_call_of(holder: Job, job: Job) -> Job:
    newest: dict[str, Any] = {name: getattr(job, name) for name in REPLACED}
    return signed_again(holder, replace(holder, **newest))


def note(results: Sequence[TaskResult[..., Any]], holders: Mapping[str, Job], on_duplicate: str | None) -> None:
    """Make the results of calls whose ids are in ``holders`` those of the jobs there. May raise ``DuplicateJob``."""
    noted = [result for result in results if result.id in holders]
    for result in noted:
        theirs = _result_of_duplicate(holders[result.id])
        fill(result, {each.name: getattr(theirs, each.name) for each in fields(JobResult)})
    if on_duplicate == "raise":
        raise _error(noted[0], results)


def mark(results: Sequence[TaskResult[..., Any] | None], jobs: Sequence[Job]) -> None:
    """Mark the results of other jobs than those that were to be run."""
    for result, job in zip(results, jobs, strict=False):
        if result is not None and result.id != job.id:
            fill(result, {"duplicate": True})


def refuse(queue: Queue, jobs: Sequence[Job]) -> None:
    """Raise ``DuplicateJob`` if another job holds the key of one of ``jobs``, or two of them have the same."""
    keys = [str(job.unique_key) for job in jobs]
    for holder in queue.holders(set(keys)).values():
        raise _error(_result_of_duplicate(holder), ())
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise _error(_result_of_duplicate(jobs[number]), ())


def results_of_ticks(queue: Queue, jobs: Sequence[Job]) -> dict[str, TaskResult[..., Any]]:
    """Return the results of the calls of schedules that were refused because of their unique keys, by their ids.

    Those whose once-key the holder has as well are left out: another process has stored the same call.
    """
    asked = [job for job in jobs if job.unique_key is not None]
    holders = queue.holders({str(job.unique_key) for job in asked}) if asked else {}
    pairs = ((job, holders.get(str(job.unique_key))) for job in asked)
    return {job.id: _result_of_duplicate(holder) for job, holder in pairs if holder and holder.key != job.key}


def _result_of_duplicate(holder: Job) -> TaskResult[..., Any]:
    result = shown_result_of(holder)
    fill(result, {"duplicate": True})
    return result


def _error(result: TaskResult[..., Any], results: Sequence[TaskResult[..., Any]]) -> DuplicateJob:
    name = result.task.module_path
    return DuplicateJob(f"Job {result.id} ({name}) has the unique key already.", result=result, results=results)
