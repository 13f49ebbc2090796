"""The unique keys of the jobs in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from ....core.job import Job, utcnow
from ....core.uniqueness import holds_key


class UniqueKeys:
    """Which job was the last to hold each key. Whether it still does follows from its state, see ``core.uniqueness``.

    A plain data structure, for one thread at a time.
    """

    def __init__(self, get: Callable[[str], Job | None]) -> None:
        """``get`` returns a job by its id as it is now, or ``None``."""
        self._get = get
        self._last: dict[str, str] = {}

    def holder(self, key: str, now: datetime) -> Job | None:
        """Return the job that holds ``key``."""
        job = self._get(self._last.get(key, ""))
        return job if job is not None and job.unique_key == key and holds_key(job, now) else None

    def free(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield the ``jobs`` whose key no other job holds; of several with one key, the first."""
        now = utcnow()
        taken: dict[str, str] = {}
        for job in jobs:
            if job.unique_key is not None and holds_key(job, now):
                holder = self.holder(job.unique_key, now)
                if taken.setdefault(job.unique_key, holder.id if holder else job.id) != job.id:
                    continue
            yield job

    def note(self, job: Job) -> None:
        """Record the key of ``job``, which was stored, or has changed, if it holds the key. The key is free."""
        if job.unique_key is not None and holds_key(job, utcnow()):
            self._last[job.unique_key] = job.id

    def drop(self, job: Job) -> None:
        """Remove the key of a job that is deleted."""
        if job.unique_key is not None and self._last.get(job.unique_key) == job.id:
            del self._last[job.unique_key]

    def clear(self) -> None:
        """Remove all keys."""
        self._last.clear()
