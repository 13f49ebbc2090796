"""Stores the jobs of ticks, also if other jobs hold their unique keys.

A scheduler never raises because of a duplicate: the call of the tick gets the result of the other job. With
``"replace"`` and ``"rerun"``, a waiting job that ``enqueue()`` has made becomes the job of the tick. It gets the call
of the tick, and its once-key too, so that no other scheduler stores or changes a job for the tick. With ``"rerun"``,
the waiting job may be one that follows another job. If none follows, and the other job has begun, the job of the tick
follows it.

A job that has a once-key stays as it is: it belongs to another tick, or to a workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from ...core.compat import Task, TaskResult
from ...core.job import Job
from ...jobs.operations import reruns
from ...queues import Queue
from ...queues.base import Change
from .duplicates import (
    ATTEMPTS,
    Handling,
    has_begun,
    holders_of,
    may_be_replaced,
    result_of_duplicate,
    with_call_of,
)
from .new_job import due_at, new_job

Call = tuple[Job, Handling]


class ScheduledCall(NamedTuple):
    """The call that a schedule makes at one tick."""

    task: Task[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    key: str
    """The once-key of the job: a queue takes one job with it."""

    at: datetime
    """The earliest time at which the job may run."""


def jobs_of_ticks(ticks: Sequence[ScheduledCall], alias: str) -> list[Job]:
    """Return the jobs of calls, in order. Raises ``InvalidArguments`` or ``InvalidTask``."""
    return [replace(due_at(new_job(tick.task, alias, tick.args, tick.kwargs), tick.at), key=tick.key) for tick in ticks]


def store_ticks(
    queue: Queue, calls: Sequence[Call], add: Callable[[list[Job]], set[str]]
) -> tuple[set[str], Mapping[str, TaskResult[..., Any]]]:
    """Store the jobs of ticks; return the ids of the stored ones, and by the ids of others the results of their calls.

    If a job is in neither, another process has stored the job of its tick. For ``add`` see ``duplicates.store``.
    """
    stored = add([job for job, _ in calls])
    rest = [(job, handling) for job, handling in calls if job.id not in stored and job.unique_key is not None]
    seen: dict[str, Job | None] = {}
    changed: dict[str, Job] = {}
    for _ in range(ATTEMPTS if rest else 0):
        holders = _holders(queue, rest)
        # A job whose holder has not changed since it was refused is refused for good: its once-key was used before.
        rest = [call for call in rest if seen.get(call[0].id, call[0]) != holders[call[0].id]]
        seen |= holders
        steps = {job.id: step for job, handling in rest if (step := _step(job, handling, holders[job.id])) is not None}
        stored |= _offer(queue, [step for step in steps.values() if isinstance(step, Job)], add)
        changed |= _change(queue, {job_id: step for job_id, step in steps.items() if isinstance(step, Change)})
        refused = steps.keys() - stored - changed.keys()
        rest = [call for call in rest if call[0].id in refused]
        if not rest:
            break
    theirs = {job.id: holder for job, _ in calls if (holder := seen.get(job.id)) is not None and holder.key != job.key}
    return stored, {job_id: result_of_duplicate(holder) for job_id, holder in {**theirs, **changed}.items()}


def _step(job: Job, handling: Handling, holder: Job | None) -> Job | Change | None:
    """Return the job to offer for a tick, or the change that makes ``holder`` that job; ``None``: do nothing.

    The key of ``job`` was taken when the job was offered. If the key is free by now, its holder had begun before the
    tick, or had expired. So the call of the tick still has to run.
    """
    if holder is None:
        return job
    if holder.key == job.key or handling.action not in ("replace", "rerun"):
        return None
    if handling.action == "rerun" and has_begun(holder):
        return reruns.following(job)
    if holder.key is None and may_be_replaced(holder, job):
        return Change(before=holder, after=with_call_of(holder, job, handling.max_wait, key=job.key))
    return None


def _offer(queue: Queue, jobs: list[Job], add: Callable[[list[Job]], set[str]]) -> set[str]:
    """Offer jobs to the queue; return the ids of the stored ones. The jobs that they follow may have ended by now."""
    stored = add(jobs) if jobs else set()
    if keys := {reruns.key_before(job) for job in jobs if reruns.follows(job)}:
        reruns.settle(queue, keys)
    return stored


def _change(queue: Queue, changes: Mapping[str, Change]) -> dict[str, Job]:
    """Make ``changes``, one for the job of each tick; return by its id the job that runs in its place.

    Of several changes of one job, the last one wins.
    """
    last = {change.before.id: job_id for job_id, change in changes.items()}
    refused = queue.change([changes[job_id] for job_id in last.values()]) if last else set()
    made = {job_id: changes[job_id].after for holder_id, job_id in last.items() if holder_id not in refused}
    return {job_id: job for job_id, job in made.items() if job is not None}


def _holders(queue: Queue, calls: Sequence[Call]) -> dict[str, Job | None]:
    """Return, by the id of the job of each call, the job that may run in its place; ``None`` if there is none."""
    keys = {job.id: _keys_to_ask(job, handling) for job, handling in calls}
    asked = {key for each in keys.values() for key in each}
    holders = holders_of(queue, asked)
    if reruns.take_back(queue, holders.values()):
        holders = holders_of(queue, asked)
    return {job.id: _holder_for(job, [holders[key] for key in keys[job.id] if key in holders]) for job, _ in calls}


def _holder_for(job: Job, holders: Sequence[Job]) -> Job | None:
    """Return the job that another scheduler has stored or changed for the tick, or else the first of ``holders``."""
    return next((holder for holder in holders if holder.key == job.key), holders[0] if holders else None)


def _keys_to_ask(job: Job, handling: Handling) -> tuple[str, ...]:
    """Return the unique keys of jobs that may run in place of ``job``. The key of a job that follows comes first."""
    key = str(job.unique_key)
    return (reruns.key_after(key), key) if handling.action == "rerun" else (key,)
