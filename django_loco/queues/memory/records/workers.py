"""The workers of this process, as the queue in memory knows them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ...workers import Command, WorkerInfo

#: Workers and the times of their last heartbeats (``time.monotonic()``, seconds), by the ids of the workers.
RegisteredWorkers = dict[str, tuple[WorkerInfo, float]]


class MemoryWorkers:
    """The part of ``MemoryQueue`` that knows workers."""

    _workers: RegisteredWorkers
    _commands: dict[str, str]

    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives."""
        self._workers[worker.worker_id] = (worker, time.monotonic())

    def unregister(self, worker_id: str) -> bool:
        """Delete a worker; return whether it was registered."""
        self._commands.pop(worker_id, None)
        return self._workers.pop(worker_id, None) is not None

    def command(self, worker_id: str, command: str) -> bool:
        """Leave a command for a worker of this process."""
        if worker_id not in self._workers:
            return False
        self._commands[worker_id] = command
        return True

    def command_of(self, worker_id: str) -> str:
        """Return the last command for a worker."""
        return self._commands.get(worker_id, Command.RUN)

    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers of this process."""
        now = time.monotonic()
        return [replace(worker, heartbeat_age=now - at) for worker, at in tuple(self._workers.values())]
