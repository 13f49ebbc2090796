"""Saves the jobs that wait in memory to files at the end of a process, and loads them in another one."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...core.job import Job
from .jobs.job_table import JobTable
from .spool import read_spool, write_spool


class MemorySaving:
    """Saves and loads the waiting jobs of a queue."""

    alias: str
    _lock: threading.RLock
    _jobs: JobTable

    @abstractmethod
    def _add(self, jobs: Sequence[Job]) -> None:
        """Let ``jobs`` wait."""

    def save(self, folder: Path) -> int:
        """Move the jobs that wait, deferred ones too, to a new file in ``folder``; return how many.

        Jobs that are held stay. If the file cannot be written (``OSError``), all stay.
        """
        with self._lock:
            jobs = self._jobs.waiting.take_all()
            logs = {job.id: self._jobs.logs[job.id] for job in jobs if job.id in self._jobs.logs}
            for job in jobs:
                self._jobs.forget(job)
        try:
            write_spool(folder, self.alias, jobs, logs)
        except BaseException:
            self._restore(jobs, logs)
            raise
        return len(jobs)

    def load(self, folder: Path) -> int:
        """Enqueue the jobs that ``save`` left in ``folder``, in this process or another; return how many.

        Does not check ``max_waiting`` and once-keys, because these jobs were accepted before.
        """
        return read_spool(folder, self.alias, self._restore)

    def _restore(self, jobs: Sequence[Job], logs: Mapping[str, str]) -> None:
        with self._lock:
            free = {job.id for job in self._jobs.unique.free(jobs)}
            self._add([job if job.id in free else replace(job, unique_key=None) for job in jobs])
            self._jobs.logs |= logs
