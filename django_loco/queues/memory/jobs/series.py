"""Finds the jobs in memory by their series."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest

from ....core.job import Job


class Series:
    """The ids of jobs with a once-key by ``Job.series``. A plain data structure, for one thread at a time."""

    def __init__(self) -> None:
        self._ids: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._ids.values()))

    def add(self, job: Job) -> None:
        """Add ``job`` if it has a series. Adding it again changes nothing."""
        if job.key is not None and (name := job.series) is not None:
            self._ids.setdefault(name, set()).add(job.id)

    def drop(self, job: Job) -> None:
        """Remove ``job``."""
        if job.key is not None and (name := job.series) in self._ids:
            self._ids[name].discard(job.id)
            if not self._ids[name]:
                del self._ids[name]

    def newest(self, name: str, limit: int) -> Sequence[str]:
        """Return up to ``limit`` ids of the series ``name``, the newest first."""
        return nlargest(limit, self._ids.get(name, ()))

    def clear(self) -> None:
        """Remove all jobs."""
        self._ids.clear()
