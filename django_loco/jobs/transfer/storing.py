"""Stores jobs in an alias as they are: what imports and moves have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...core.job import READY, SIGNATURE, Job
from ...exceptions import QueueRefused
from ...queues import Queue
from ..operations.edits import require_queue
from ..signing import is_genuine, signed
from ..stores import queue_of


def shared_queue(alias: str) -> Queue:
    """Return the queue of an alias of django-loco.

    Raises ``ValueError`` for an unknown alias, and for one with its jobs in the memory of other processes.
    """
    queue = queue_of(alias)
    if not queue.is_shared:
        raise ValueError(
            f"The jobs of TASKS[{alias!r}] are in the memory of the processes that enqueue them, which this command "
            "cannot reach. Use WORKER_MODE = 'BackgroundQueue' and a queue in a database or in Redis."
        )
    return queue


def require_its_queue(job: Job, alias: str) -> None:
    """Raise ``ValueError`` if ``job`` waits and ``alias`` does not have its queue."""
    if job.status == READY:
        require_queue(alias, job.queue_name)


def in_alias(job: Job, alias: str) -> Job:
    """Return ``job`` as one of ``alias``, signed again if it was genuine before."""
    if job.backend == alias:
        return job
    moved = replace(job, backend=alias)
    return signed(moved) if SIGNATURE in job.options and is_genuine(job) else moved


def restore(queue: Queue, jobs: Sequence[Job]) -> tuple[set[str], Mapping[str, str]]:
    """Store jobs; return the ids of those that were new, and why the store refuses others, by their ids.

    Raises ``QueueUnavailable``.
    """
    try:
        return queue.restore(jobs), {}
    except (QueueRefused, UnicodeError) as error:
        if len(jobs) == 1:
            return set(), {jobs[0].id: str(error)}
    half = len(jobs) // 2
    stored, refused = restore(queue, jobs[:half])
    more_stored, more_refused = restore(queue, jobs[half:])
    return stored | more_stored, {**refused, **more_refused}
