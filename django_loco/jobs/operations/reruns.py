"""Runs that follow a unique job which has begun: what a duplicate with ``on_duplicate="rerun"`` makes.

1. A call finds that a job has its unique key and has begun. So the job of the call is stored as one that *follows*:
   with a key of its own, made from the other, so that there is one at most. Later calls give it their arguments.
2. The job before it ends. Whoever has stored that calls ``settle``: the job that follows gets the key, and is due.
3. If that process dies before step 2, a worker fetches the job that follows after ``POLL``, and does step 2; or puts it
   off again, if the key is not free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...core.job import READY, RERUN, RUNNING, Job, Outcome, utcnow
from ...core.uniqueness import FINISHED
from ...queues import Queue
from ...queues.base import Change
from .edits import signed_again

#: How long a job that follows waits before a worker looks whether its time has come.
POLL = timedelta(seconds=15)


def key_after(key: str) -> str:
    """Return the unique key of the job that follows the one with ``key``."""
    return hashlib.sha256(f"rerun\0{key}".encode()).hexdigest()


def follows(job: Job) -> bool:
    """Return whether ``job`` waits for the end of the one with its key."""
    return isinstance(job.options.get(RERUN), dict)


def key_before(job: Job) -> str:
    """Return the unique key of the job that one which ``follows`` waits for."""
    return str(job.options[RERUN].get("key"))


def following(job: Job) -> Job:
    """Return a new job as one that follows."""
    due = None if job.run_after is None else job.run_after.isoformat()
    return replace(
        job,
        options={**job.options, RERUN: {"key": job.unique_key, "until": job.unique_until, "run_after": due}},
        unique_key=key_after(str(job.unique_key)),
        unique_until=FINISHED,
        run_after=utcnow() + POLL,
    )


def put_off(job: Job) -> Outcome:
    """Return the outcome of a job that follows, which was fetched; call ``settle`` when it is stored."""
    return Outcome.released(job, run_after=utcnow() + POLL).not_begun()


def take_back(queue: Queue, jobs: Iterable[Job]) -> bool:
    """Take jobs that follow from workers that have fetched them, and would only put them off; return if any have."""
    held = [job for job in jobs if follows(job) and job.status == RUNNING]
    if held:
        queue.finish([put_off(job) for job in held])
    return bool(held)


def settle(queue: Queue, keys: Collection[str]) -> None:
    """Let the jobs run that follow those with ``keys``, if these have ended. Raises what the queue raises."""
    waiting = [job for job in queue.holders({key_after(key) for key in keys}).values() if _waits(job)]
    if not waiting:
        return
    taken = queue.holders({key_before(job) for job in waiting})
    queue.change([Change(before=job, after=_due(job)) for job in waiting if key_before(job) not in taken])


def keys_of(jobs: Sequence[Job]) -> set[str]:
    """Return the keys of those of ``jobs`` that others may follow."""
    return {job.unique_key for job in jobs if job.unique_key is not None and RERUN in job.options}


def _waits(job: Job) -> bool:
    return follows(job) and job.status == READY and not job.is_moving


def _due(job: Job) -> Job:
    """Return a job that follows as it runs after the end of the other. The notes of its fetches are dropped."""
    noted = job.options[RERUN]
    due = noted.get("run_after")
    return signed_again(
        job,
        replace(
            job,
            options={**job.options, RERUN: True},
            unique_key=noted.get("key"),
            unique_until=noted.get("until"),
            run_after=None if due is None else datetime.fromisoformat(due),
            started_at=None,
            last_attempted_at=None,
        ),
    )
