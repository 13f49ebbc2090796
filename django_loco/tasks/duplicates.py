"""Handles calls whose unique key another job holds: the result of such a call is that of the other job.

With ``"rerun"`` the call makes a job that follows the other if that has begun: see ``jobs.operations.reruns``.

A key may be given up between the attempt to store a job and the look at who has it. Then the job is stored after all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

from ..core.compat import TaskResult
from ..core.job import READY, RERUN, RUNNING, Job, Outcome, utcnow
from ..core.uniqueness import holds_key
from ..exceptions import DuplicateJob, QueueUnavailable
from ..jobs.operations import reruns
from ..jobs.operations.edits import signed_again
from ..queues import Queue
from ..queues.base import Change
from .job_result import JobResult, fill
from .results import backend_class, shown_result_of
from .stored.jobs import announce_end

#: The holders of no keys.
NOBODY: Mapping[str, Job] = MappingProxyType({})
#: The fields of a job that has not begun which the newest call replaces.
REPLACED = ("arguments", "run_after", "expires_at", "priority", "limit_key")
#: How often a job is offered whose key is given up each time before somebody has looked who holds it.
ATTEMPTS = 100


class Handling(NamedTuple):
    """The handling of a duplicate."""

    action: str | None = None
    """The option ``on_duplicate``."""

    max_wait: timedelta | None = None
    """How long after the enqueue of a job newer calls can put it off; ``None``: there is no limit."""


KEEP = Handling()


def handling_of(task: Any) -> Handling:
    """Return what a duplicate of a call of ``task`` does."""
    action: str | None = getattr(task, "on_duplicate", None)
    if action is None:
        return KEEP
    wait: float | timedelta | None = task.max_wait
    return Handling(action, wait if wait is None or isinstance(wait, timedelta) else timedelta(seconds=wait))


def store(
    queue: Queue, jobs: Sequence[Job], handling: Handling, add: Callable[[list[Job]], set[str]]
) -> tuple[set[str], Mapping[str, Job]]:
    """Store jobs with unique keys; return the ids of those stored, and by the ids of the others who holds their keys.

    ``add`` stores jobs, and returns the ids of those stored. To ``"replace"`` means that a holder that has not begun
    gets the ``REPLACED`` fields of the job. To ``"rerun"`` means the same, and that another job follows a holder that
    has begun; it is among those stored, or among the holders. Raises ``QueueUnavailable``.
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
        found = _holders_of(queue, {str(job.unique_key) for job in rest})
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
        # A job that follows would run with older arguments than a new one, if that came first.
        waiting = {after[key]: job for key, job in queue.holders(after.keys()).items() if after[key] in rest}
        reruns.take_back(queue, waiting.values())
        held = _replaced(queue, waiting, [*rest.values()], handling.max_wait)
        held = {key: job for key, job in held.items() if not (reruns.follows(job) and job.status == RUNNING)}
        free = [job for key, job in rest.items() if key not in waiting]
        stored |= add(free) if free else set()
        rest = {key: job for key, job in rest.items() if job.id not in stored and key not in held}
        holders |= held
        found = _holders_of(queue, [*rest]) if rest else {}
        found = _replaced(queue, found, [*rest.values()], handling.max_wait)
        begun = {key for key, holder in found.items() if _has_begun(holder)}
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
    """Return the jobs that will do the calls of the others of ``jobs`` than those stored, by the ids of the latter."""
    keys = {job.id: str(job.unique_key) for job in jobs if job.id not in stored}
    return {job_id: holders.get(key, last[key]) for job_id, key in keys.items()}


def _has_begun(job: Job) -> bool:
    """Return whether ``job`` may run with the arguments that it has: it has begun, or may begin in another store."""
    return not reruns.follows(job) and (job.status != READY or job.started_at is not None or job.is_moving)


def _holders_of(queue: Queue, keys: Collection[str]) -> Mapping[str, Job]:
    """Return the jobs that hold unique keys, by these.

    Those that have expired are ended, as a worker would that takes them. Mostly their keys are free then.
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


def _may_be_replaced(holder: Job, job: Job) -> bool:
    waits = holder.status == READY and not _has_begun(holder) and not holder.is_moving
    return waits and holder.task_path == job.task_path


def _replaced(
    queue: Queue, holders: Mapping[str, Job], jobs: Sequence[Job], max_wait: timedelta | None
) -> dict[str, Job]:
    """Let holders that have not begun do what the last of ``jobs`` with their key would do.

    Returns the holders as they are now, without those that have begun, ended or changed meanwhile.
    """
    newest = {str(job.unique_key): job for job in jobs}
    changes = {
        key: Change(before=holder, after=_with_call_of(holder, newest[key], max_wait))
        for key, holder in holders.items()
        if _may_be_replaced(holder, newest[key])
    }
    refused = queue.change([*changes.values()]) if changes else set()
    now = {key: change.after for key, change in changes.items() if change.after is not None}
    return {key: now.get(key, holder) for key, holder in holders.items() if holder.id not in refused}


def _with_call_of(holder: Job, job: Job, max_wait: timedelta | None, **changed: Any) -> Job:
    newest: dict[str, Any] = {name: getattr(job, name) for name in REPLACED} | changed
    if reruns.follows(holder):
        newest |= {"options": reruns.following(job).options, "run_after": holder.run_after}
    elif max_wait is not None and job.run_after is not None:
        newest["run_after"] = min(job.run_after, max(holder.enqueued_at + max_wait, job.enqueued_at))
    return signed_again(holder, replace(holder, **newest))


def note(results: Sequence[TaskResult[..., Any]], holders: Mapping[str, Job], handling: Handling) -> None:
    """Make the results of calls whose ids are in ``holders`` those of the jobs there. May raise ``DuplicateJob``."""
    noted = [result for result in results if result.id in holders]
    for result in noted:
        theirs = _result_of_duplicate(holders[result.id])
        fill(result, {each.name: getattr(theirs, each.name) for each in fields(JobResult)})
    if handling.action == "raise":
        raise _error(noted[0], results)


def mark(results: Sequence[TaskResult[..., Any] | None], jobs: Sequence[Job]) -> None:
    """Mark the results of other jobs than those that were to be run."""
    for result, job in zip(results, jobs, strict=False):
        if result is not None and result.id != job.id:
            fill(result, {"duplicate": True})


def refuse(queue: Queue, jobs: Sequence[Job]) -> None:
    """Raise ``DuplicateJob`` if another job holds the key of one of ``jobs``, or two of them have the same."""
    keys = [str(job.unique_key) for job in jobs]
    for holder in _holders_of(queue, set(keys)).values():
        raise _error(_result_of_duplicate(holder), ())
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise _error(_result_of_duplicate(jobs[number]), ())


def store_ticks(
    queue: Queue, calls: Sequence[tuple[Job, Handling]], add: Callable[[list[Job]], set[str]]
) -> tuple[set[str], Mapping[str, TaskResult[..., Any]]]:
    """Store the jobs of ticks; return the ids of those stored, and by the ids of others the results of their calls.

    A job without either is that of a tick whose job another process has stored. For ``add`` see ``store``.
    """
    stored = add([job for job, _ in calls])
    if all(job.id in stored or job.unique_key is None for job, _ in calls):
        return stored, {}
    stored |= _rerun_ticks(queue, [job for job, _ in calls if job.id not in stored], add)
    more, replaced = _replace_for_ticks(queue, [call for call in calls if call[0].id not in stored], add)
    stored |= more
    results = {job_id: _result_of_duplicate(job) for job_id, job in replaced.items()}
    rest = [job for job, _ in calls if job.id not in stored and job.id not in results]
    return stored, results | _results_of_ticks(queue, rest)


def _replace_for_ticks(
    queue: Queue, calls: Sequence[tuple[Job, Handling]], add: Callable[[list[Job]], set[str]]
) -> tuple[set[str], Mapping[str, Job]]:
    """Let jobs that wait, and that ``enqueue()`` has made, become those of ticks with ``"replace"`` or ``"rerun"``.

    Such a job also gets the once-key of the tick, so that no other process stores or replaces one for it. A job that
    has a once-key stays as it is: it belongs to another tick, or to a workflow. Return the ids of the jobs stored
    because their unique keys are free by now, and by the ids of others the jobs that have become theirs.
    """
    asked = ((job, handling) for job, handling in calls if handling.action in ("replace", "rerun"))
    rest = {job.unique_key: (job, handling) for job, handling in asked if job.unique_key is not None}
    stored: set[str] = set()
    replaced: dict[str, Job] = {}
    for _ in range(ATTEMPTS if rest else 0):
        holders = _holders_of(queue, rest.keys())
        free = [job for key, (job, _) in rest.items() if key not in holders]
        stored |= add(free) if free else set()
        changes = {
            key: Change(before=holder, after=_with_call_of(holder, job, handling.max_wait, key=job.key))
            for key, (job, handling) in rest.items()
            if (holder := holders.get(key)) and holder.key is None and _may_be_replaced(holder, job)
        }
        refused = queue.change([*changes.values()]) if changes else set()
        made = {key: each.after for key, each in changes.items() if each.after and each.before.id not in refused}
        replaced |= {rest[key][0].id: job for key, job in made.items()}
        rest = {key: rest[key] for key in changes.keys() - made.keys()}
        if not rest:
            break
    return stored, replaced


def _rerun_ticks(queue: Queue, jobs: Sequence[Job], add: Callable[[list[Job]], set[str]]) -> set[str]:
    """Let jobs follow those that hold their unique keys, if they are of ``"rerun"`` and these have begun.

    ``jobs`` are those of ticks that were not stored: because of their unique keys, or because another process has
    stored the same tick, which refuses them here as well. Return the ids of those stored. For ``add`` see ``store``.
    """
    asked = [job for job in jobs if job.unique_key is not None and RERUN in job.options]
    if not asked:
        return set()
    keys = {str(job.unique_key) for job in asked}
    holders = queue.holders(keys)
    following = [reruns.following(job) for job in asked if _may_follow(job, holders.get(str(job.unique_key)))]
    # A key that is free by now was held by a job that had begun before the tick, so the call is not done yet.
    free = [job for job in asked if job.unique_key not in holders]
    stored = add(following + free) if following or free else set()
    reruns.settle(queue, keys)
    return stored


def _may_follow(job: Job, holder: Job | None) -> bool:
    return holder is not None and (holder.key is None or holder.key != job.key) and _has_begun(holder)


def follow(queue: Queue, job: Job) -> Job | None:
    """Return the job that follows the one with the unique key of ``job``, in memory; ``None`` if none has to."""
    if RERUN not in job.options:
        return None
    _, holders = _with_reruns(queue, [job], Handling("rerun"), lambda few: {each.id for each in queue.enqueue(few)})
    return holders.get(job.id) or queue.get(job.id)


def take_following(queue: Queue, job: Job) -> Job | None:
    """Take the job that follows ``job``, which has ended, out of the queue; ``None`` if there is none."""
    if RERUN not in job.options or job.unique_key is None:
        return None
    reruns.settle(queue, [job.unique_key])
    following = queue.holders([job.unique_key]).get(job.unique_key)
    if following is None or following.status != READY or queue.change([Change(before=following, after=None)]):
        return None
    return replace(following, key=None, run_after=None)  # its once-key stays known


def _results_of_ticks(queue: Queue, jobs: Sequence[Job]) -> dict[str, TaskResult[..., Any]]:
    """Return the results of the calls of schedules that were refused because of their unique keys, by their ids.

    Those whose once-key the holder has as well are left out: another process has stored the same call.
    """
    asked = [job for job in jobs if job.unique_key is not None]
    keys = {job.id: _keys_to_ask(job) for job in asked}
    holders = queue.holders({*chain.from_iterable(keys.values())}) if asked else {}
    pairs = ((job, next(filter(None, map(holders.get, keys[job.id])), None)) for job in asked)
    return {job.id: _result_of_duplicate(holder) for job, holder in pairs if holder and holder.key != job.key}


def _keys_to_ask(job: Job) -> tuple[str, ...]:
    """Return the unique keys of the jobs that may do the call of ``job``, that of one which follows first."""
    key = str(job.unique_key)
    return (reruns.key_after(key), key) if RERUN in job.options else (key,)


def _result_of_duplicate(holder: Job) -> TaskResult[..., Any]:
    result = shown_result_of(holder)
    fill(result, {"duplicate": True})
    return result


def _error(result: TaskResult[..., Any], results: Sequence[TaskResult[..., Any]]) -> DuplicateJob:
    name = result.task.module_path
    return DuplicateJob(f"Job {result.id} ({name}) has the unique key already.", result=result, results=results)
