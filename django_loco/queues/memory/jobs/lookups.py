"""Looks jobs up in the memory of a process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from ....core.compat import TaskResultStatus
from ....core.job import Job, JobSummary, utcnow
from ...lookups import status_of
from ...rows.forms import digits_of
from ..wake_ups import MemoryWakeUps


class MemoryLookups(MemoryWakeUps):
    """The methods of ``MemoryQueue`` that look jobs up. Deferred jobs that have become due are due for them as well."""

    def get(self, job_id: str) -> Job | None:
        """Return a job, if it is still known."""
        with self._lock:
            return self._jobs.get(digits_of(job_id) or job_id)

    def get_many(self, ids: Sequence[str]) -> Sequence[Job]:
        """Return some jobs."""
        with self._lock:
            return [job for job_id in ids if (job := self._jobs.get(job_id)) is not None]

    def logs(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the kept logs of jobs."""
        with self._lock:
            return {job_id: self._jobs.logs[job_id] for job_id in ids if job_id in self._jobs.logs}

    def series(self, name: str, limit: int = 100) -> list[JobSummary]:
        """Return jobs of a series, the newest first."""
        with self._lock:
            jobs = map(self._jobs.get, self._jobs.series.newest(name, limit))
            return [JobSummary.of(job) for job in jobs if job]

    def list(
        self,
        *,
        status: TaskResultStatus | str | None = None,
        queue_name: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """Return jobs, the newest first."""
        status = status_of(status)
        with self._lock:
            return self._jobs.newest(status, queue_name, before, limit)

    def holders(self, keys: Collection[str]) -> Mapping[str, Job]:
        """Return the jobs that hold unique keys."""
        with self._lock:
            now = utcnow()
            return {key: job for key in keys if (job := self._jobs.unique.holder(key, now))}

    def lost(self, jobs: Sequence[Job]) -> set[str]:
        """Return the ids of the jobs that are no longer held."""
        with self._lock:
            return {job.id for job in jobs if not self._jobs.is_held(job)}

    def counts(self, limit: int | None = None) -> dict[tuple[str, TaskResultStatus], int]:
        """Return the number of jobs per queue name and status, at most ``limit`` each."""
        with self._lock:
            counts = self._jobs.counts()
        return dict(counts) if limit is None else {of: min(number, limit) for of, number in counts.items()}

    def oldest_due(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return when the job that has been due longest became due."""
        with self._lock:
            self._promote()
            return self._jobs.waiting.oldest_due(queues)

    def oldest_limited(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return the due time of the limited job that has been due for the longest time."""
        with self._lock:
            self._promote()
            return self._jobs.waiting.oldest_due(queues, limited=True)
