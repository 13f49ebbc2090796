"""The workers of a database queue, and the commands for them."""

from __future__ import annotations

from collections.abc import Sequence

from ...workers import WorkerInfo, text_of_worker, worker_of_text
from ..shown_rows import seconds_between
from ..sql import statements
from .statement_runner import StatementRunner


class StoredWorkers(StatementRunner):
    """The methods of ``DatabaseQueue`` for workers."""

    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives."""
        self._run(statements.REGISTER, worker_id=worker.worker_id, info=text_of_worker(worker), now=0)

    def unregister(self, worker_id: str) -> bool:
        """Delete a worker; return whether it was registered."""
        return bool(self._run(statements.UNREGISTER, worker_id=worker_id))

    def command(self, worker_id: str, command: str) -> bool:
        """Leave a command for a worker; return whether it is registered."""
        return bool(self._run(statements.COMMAND, worker_id=worker_id, command=command))

    def command_of(self, worker_id: str) -> str:
        """Return the last command for a worker."""
        return next((command or "" for (command,) in self._run(statements.COMMAND_OF, worker_id=worker_id)), "")

    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers, of all machines."""
        return [
            worker_of_text(worker_id, info, seconds_between(heartbeat_at, now))
            for worker_id, info, heartbeat_at, now in self._run(statements.WORKERS, now=0)
        ]
