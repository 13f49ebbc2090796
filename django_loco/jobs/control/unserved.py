"""Which queues have jobs that no worker takes, and whether no scheduler fires schedules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from ...queues.workers import WorkerInfo
from ..stores import aliases, backend_of, queue_of
from .stats import QueueStats
from .workers import AliasWorker, schedulers


def is_served(queue_name: str, workers: Iterable[WorkerInfo]) -> bool:
    """Return whether one of ``workers``, all workers of the queue's alias, takes jobs of the queue now."""
    return any(worker.takes_jobs and worker.serves(queue_name) for worker in workers)


def unserved(stats: Iterable[QueueStats], workers: Sequence[AliasWorker]) -> list[QueueStats]:
    """Return the queues of ``stats`` that have waiting jobs, are not paused, and are served by none of ``workers``.

    Does not consider tags; see ``jobs.why`` for one job.
    """
    return [
        each
        for each in stats
        if each.ready
        and not each.is_paused
        and not is_served(each.queue, [worker for worker in workers if worker.backend == each.backend])
    ]


def is_scheduler_missing(found: Iterable[AliasWorker] | None = None) -> bool:
    """Return whether no scheduler is alive, as far as that is known: see ``shows_schedulers``.

    ``found`` are the schedulers, if the caller has read them. Otherwise stores are asked until one has a living one.
    """
    asked = [alias for alias in aliases() if shows_schedulers(alias)]
    known = chain.from_iterable(schedulers(backend=alias) for alias in asked) if found is None else found
    return bool(asked) and not any(each.is_alive for each in known)


def shows_schedulers(alias: str) -> bool:
    """Return whether each scheduler of the project shows itself in the store of ``alias`` to all processes.

    This is false if its jobs are in the memory of each process, or run inside ``enqueue``.
    """
    return backend_of(alias).runs_stored_jobs and queue_of(alias).is_shared
