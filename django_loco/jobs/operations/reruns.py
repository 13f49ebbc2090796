"""Jobs that follow a unique job that has begun: duplicates with ``on_duplicate="rerun"`` make them.

1. A call finds that a job has its unique key and has begun. So the job of the call is stored as one that *follows*. It
   has a key of its own, made from the unique key, so that at most one job follows. Later calls replace its arguments.
2. The first job ends. The code that stored its end calls ``settle``: the job that follows gets the key, and is due.
3. If that process dies before step 2, a worker fetches the job that follows after ``POLL``. The worker does step 2, or
   puts the job off again if the key is not free.
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

#: How long a job that follows waits until a worker checks whether it may run.
POLL = timedelta(seconds=15)


def key_after(key: str) -> str:
    """Return the unique key of the job that follows the job with ``key``."""
    return hashlib.sha256(f"rerun\0{key}".encode()).hexdigest()


def follows(job: Job) -> bool:
    """Return whether ``job`` waits for the end of another job with the same key."""
    return isinstance(job.options.get(RERUN), dict)


def key_before(job: Job) -> str:
    """Return the unique key of the job that ``job``, which ``follows``, waits for."""
    return str(job.options[RERUN].get("key"))


def following(job: Job) -> Job:
    """Return a new job, changed so that it follows the holder of its unique key."""
    due = None if job.run_after is None else job.run_after.isoformat()
    return replace(
        job,
        options={**job.options, RERUN: {"key": job.unique_key, "until": job.unique_until, "run_after": due}},
        unique_key=key_after(str(job.unique_key)),
        unique_until=FINISHED,
        run_after=utcnow() + POLL,
    )


def put_off(job: Job) -> Outcome:
    """Return the outcome that puts off a fetched job that follows. Call ``settle`` when the outcome is stored."""
    return Outcome.released(job, run_after=utcnow() + POLL).not_begun()


def take_back(queue: Queue, jobs: Iterable[Job]) -> bool:
    """Put off the ``jobs`` that follow and were fetched; return whether there were any.

    The workers that have fetched these jobs would only put them off.
    """
    held = [job for job in jobs if follows(job) and job.status == RUNNING]
    if held:
        queue.finish([put_off(job) for job in held])
    return bool(held)


def settle(queue: Queue, keys: Collection[str]) -> None:
    """Release the jobs that follow the jobs with ``keys``, if these have ended. Raises the errors of the queue."""
    waiting = [job for job in queue.holders({key_after(key) for key in keys}).values() if _waits(job)]
    if not waiting:
        return
    taken = queue.holders({key_before(job) for job in waiting})
    queue.change([Change(before=job, after=_due(job)) for job in waiting if key_before(job) not in taken])


def keys_of(jobs: Sequence[Job]) -> set[str]:
    """Return the unique keys of the ``jobs`` that another job may follow."""
    return {job.unique_key for job in jobs if job.unique_key is not None and RERUN in job.options}


def _waits(job: Job) -> bool:
    return follows(job) and job.status == READY and not job.is_moving


def _due(job: Job) -> Job:
    """Return a job that follows, changed so that it runs: with the key of the first job, and no traces of fetches."""
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
