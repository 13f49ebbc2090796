"""The pauses of a queue in memory: of its queues, and of tasks and tags. They end with the process."""

from __future__ import annotations

import threading

from ...records.pauses import JobPause, Pauses
from ..jobs.job_table import JobTable


class MemoryPauses(Pauses):
    """The pauses of ``MemoryQueue``."""

    _lock: threading.RLock
    _changed: threading.Condition
    _jobs: JobTable
    _arrivals: int
    _paused: set[str]

    def pause(self, queue_name: str) -> None:
        """Let no worker fetch jobs of a queue."""
        self._paused.add(queue_name)

    def resume(self, queue_name: str) -> bool:
        """Let workers fetch jobs of a queue again; return whether it was paused."""
        with self._lock:
            was_paused = queue_name in self._paused
            self._paused.discard(queue_name)
            self._arrivals += was_paused
            self._changed.notify_all()
            return was_paused

    def paused(self) -> set[str]:
        """Return the names of the queues that are paused."""
        return self._paused.copy()

    def pause_jobs(self, pause: JobPause) -> None:
        """Let no worker fetch the jobs of a task or a tag."""
        with self._lock:
            self._jobs.waiting.pause(pause)

    def resume_jobs(self, pause: JobPause) -> bool:
        """Let workers fetch the jobs of a task or a tag again; return whether these were paused."""
        with self._lock:
            was_paused = self._jobs.waiting.resume(pause)
            self._arrivals += was_paused
            self._changed.notify_all()
            return was_paused

    def paused_jobs(self) -> set[JobPause]:
        """Return the pauses."""
        with self._lock:
            return self._jobs.waiting.pauses.copy()
