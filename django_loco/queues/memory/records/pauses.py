"""The pauses of tasks and tags of a queue in memory. They end with the process."""

from __future__ import annotations

import threading

from ...records.pauses import JobPause, JobPauses
from ..job_table import JobTable


class MemoryPauses(JobPauses):
    """The pauses of ``MemoryQueue``."""

    _lock: threading.RLock
    _changed: threading.Condition
    _jobs: JobTable
    _arrivals: int

    def pause_jobs(self, pause: JobPause) -> None:
        """Let no worker fetch the jobs of a task or a tag."""
        with self._lock:
            self._jobs.waiting.pause(pause)

    def resume_jobs(self, pause: JobPause) -> bool:
        """Let workers fetch them again; return whether they were paused."""
        with self._lock:
            was_paused = self._jobs.waiting.resume(pause)
            self._arrivals += was_paused
            self._changed.notify_all()
            return was_paused

    def paused_jobs(self) -> set[JobPause]:
        """Return the pauses."""
        with self._lock:
            return self._jobs.waiting.pauses.copy()
