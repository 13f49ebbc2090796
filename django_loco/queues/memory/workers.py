"""The workers of this process, as the queue in memory knows them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ..workers import WorkerInfo

#: Workers and the times of their last heartbeats (``time.monotonic()``, seconds), by the ids of the workers.
RegisteredWorkers = dict[str, tuple[WorkerInfo, float]]


class MemoryWorkers:
    """The part of ``MemoryQueue`` that knows workers."""

    _workers: RegisteredWorkers

    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives."""
        self._workers[worker.worker_id] = (worker, time.monotonic())

    def unregister(self, worker_id: str) -> bool:
        """Delete a worker; return whether it was registered."""
        return self._workers.pop(worker_id, None) is not None

    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers of this process."""
        now = time.monotonic()
        return [replace(worker, heartbeat_age=now - at) for worker, at in tuple(self._workers.values())]
