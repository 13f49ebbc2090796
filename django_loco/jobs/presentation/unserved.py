"""Which queues have jobs that wait in vain, because no worker takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...queues.workers import WorkerInfo
from ..control import AliasWorker, QueueStats


def is_served(queue_name: str, workers: Iterable[WorkerInfo]) -> bool:
    """Return whether one of ``workers``, those of the alias of a queue, takes jobs of the queue now."""
    return any(worker.takes_jobs and worker.serves(queue_name) for worker in workers)


def unserved(stats: Iterable[QueueStats], workers: Sequence[AliasWorker]) -> list[QueueStats]:
    """Return the queues of ``stats`` that have jobs, are not paused, and that none of ``workers`` serves.

    Does not consider tags; see ``jobs.why`` for one job.
    """
    return [
        each
        for each in stats
        if each.ready
        and not each.is_paused
        and not is_served(each.queue, [worker for worker in workers if worker.backend == each.backend])
    ]
