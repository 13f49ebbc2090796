"""The workers of a queue in memory: those of its process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ..workers import WorkerInfo, WorkerRegistry


class MemoryRegistry(WorkerRegistry):
    """A dict, each of whose operations is atomic."""

    def __init__(self) -> None:
        self._workers: dict[str, tuple[WorkerInfo, float]] = {}

    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives."""
        self._workers[worker.worker_id] = (worker, time.monotonic())

    def unregister(self, worker_id: str) -> bool:
        """Delete a worker; return whether it was registered."""
        return self._workers.pop(worker_id, None) is not None

    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers."""
        now = time.monotonic()
        return [replace(worker, heartbeat_age=now - at) for worker, at in tuple(self._workers.values())]

    def clear(self) -> None:
        """Forget all."""
        self._workers.clear()
