"""Which jobs a queue does not delete yet, because it still has to know their once-keys."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...core.job import Job
from ...core.job.retention import keys_kept_seconds
from ..stores import aliases, queue_of


def some_keep_keys() -> bool:
    """Return whether a queue keeps jobs for their once-keys."""
    return any(queue_of(alias).keeps_keyed_jobs for alias in aliases())


def keeps_key(job: Job, now: datetime) -> bool:
    """Return whether the queue of ``job``, which does not run, refuses to delete it at the time ``now``."""
    if job.key is None or not queue_of(job.backend).keeps_keyed_jobs:
        return False
    return job.finished_at is None or job.finished_at > now - timedelta(seconds=keys_kept_seconds())
