"""Reads the workers, their running jobs, the queues that no worker takes jobs from, and the schedulers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .... import jobs
from ....core.job import Job, utcnow
from ....jobs.control.unserved import unserved
from ....jobs.control.workers import workers_and_schedulers
from ....jobs.page_parts.scope import EVERYTHING
from ....jobs.stores import backend_of


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersRead:
    """The workers and schedulers of all aliases at one moment."""

    at: datetime
    workers: Sequence[jobs.AliasWorker]
    running: Mapping[str, Sequence[Job]]
    """The running jobs of each worker, by the worker's id. Only the newest running jobs are searched."""

    unserved: Sequence[jobs.QueueStats]
    """Queues with jobs that no worker takes, of aliases that need one."""

    schedulers: Sequence[jobs.AliasWorker]


def read() -> WorkersRead:
    """Return the present workers. Raises ``QueueError`` and ``LocoConfigurationError``."""
    found, schedulers = workers_and_schedulers()
    now = utcnow()
    workers = sorted(found, key=lambda worker: (worker.backend, worker.host, worker.pid, worker.worker_id))
    stats = EVERYTHING.stats()
    needs = {alias for alias in jobs.aliases() if backend_of(alias).runs_stored_jobs}
    return WorkersRead(
        at=now,
        workers=workers,
        running=EVERYTHING.running_by_worker() if workers else {},
        unserved=unserved([each for each in stats if each.backend in needs], workers),
        schedulers=schedulers,
    )
