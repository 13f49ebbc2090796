"""Stores jobs in an alias as they are, for imports and moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from ...core.job import READY, SIGNATURE, Job
from ...core.validation import short
from ...exceptions import QueueRefused
from ...queues import Queue
from ...queues.base import NO_LOGS
from ..operations.edits import require_queue
from ..signing import is_genuine, signed
from ..stores import backend_of, queue_of

#: The number of jobs whose logs are read in one call. The logs of one job may take a megabyte.
LOGS_AT_ONCE = 100
#: Numbers, which a database stores in 16 bits.
NUMBERS, NUMBERS_END = ("priority", "lost"), 1 << 15


def shared_queue(alias: str) -> Queue:
    """Return the queue of an alias of django-loco.

    Raises ``ValueError`` for an unknown alias, and for one whose jobs are not stored, or are in the memory of other
    processes.
    """
    queue = queue_of(alias)
    if not queue.is_shared and not backend_of(alias).runs_stored_jobs:
        raise ValueError(
            f"The jobs of TASKS[{alias!r}] run inside enqueue() (ForegroundBlocking), so none are stored. "
            "Use WORKER_MODE = 'BackgroundQueue'."
        )
    if not queue.is_shared:
        raise ValueError(
            f"The jobs of TASKS[{alias!r}] are in the memory of the processes that enqueue them, which this command "
            "cannot reach. Use WORKER_MODE = 'BackgroundQueue' and a queue in a database or in Redis."
        )
    return queue


def with_logs(jobs: Iterable[Job]) -> Iterator[tuple[Job, str | None]]:
    """Yield each of ``jobs`` with its kept logs. Few logs are in memory at once. Raises ``QueueUnavailable``."""
    rest = iter(jobs)
    while few := [*islice(rest, LOGS_AT_ONCE)]:
        logs: dict[str, str] = {}
        for alias in {job.backend for job in few}:
            begun = [job.id for job in few if job.backend == alias and job.started_at is not None]
            logs |= queue_of(alias).logs(begun) if begun else NO_LOGS
        yield from ((job, logs.get(job.id)) for job in few)


def require_its_queue(job: Job, alias: str) -> None:
    """Raise ``ValueError`` if ``job`` waits and ``alias`` does not have its queue."""
    if job.status == READY:
        require_queue(alias, job.queue_name)


def number_problem(job: Job) -> str:
    """Return which number of ``job``, edited by somebody, is out of range for some store; empty if none is."""
    for name in NUMBERS:
        if not -NUMBERS_END <= (number := getattr(job, name)) < NUMBERS_END:
            return f"{name} is {short(number)}; it must be from {-NUMBERS_END} to {NUMBERS_END - 1}"
    return ""


def in_alias(job: Job, alias: str) -> Job:
    """Return ``job``, changed so that it belongs to ``alias``, and signed again if it was genuine before."""
    if job.backend == alias:
        return job
    moved = replace(job, backend=alias)
    return signed(moved) if SIGNATURE in job.options and is_genuine(job) else moved


def restore(queue: Queue, jobs: Sequence[Job], logs: Mapping[str, str] = NO_LOGS) -> tuple[set[str], Mapping[str, str]]:
    """Store jobs; return the ids of the new ones, and by the ids of refused ones, why the store refuses them.

    ``logs`` are the kept logs of some of them by their ids. Raises ``QueueUnavailable``.
    """
    own = {job.id: logs[job.id] for job in jobs if job.id in logs}
    try:
        return (queue.restore(jobs, own) if own else queue.restore(jobs)), {}
    except (QueueRefused, UnicodeError) as error:
        if len(jobs) == 1:
            return set(), {jobs[0].id: str(error)}
    half = len(jobs) // 2
    stored, refused = restore(queue, jobs[:half], logs)
    more_stored, more_refused = restore(queue, jobs[half:], logs)
    return stored | more_stored, {**refused, **more_refused}
