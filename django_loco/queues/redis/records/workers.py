"""The workers of a Redis queue, and the commands for them."""

from __future__ import annotations

from collections.abc import Sequence

from ...workers import FetchedCommands, WorkerInfo, text_of_worker, worker_of_text
from ..codec.answers import decoded
from ..connections.server import RedisServer


class RedisWorkers(FetchedCommands):
    """The methods of ``RedisQueue`` for workers."""

    server: RedisServer

    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives."""
        self.server.run("register", (worker.worker_id, text_of_worker(worker)))

    def unregister(self, worker_id: str) -> bool:
        """Delete a worker; return whether it was registered."""
        return bool(self.server.run("unregister", (worker_id,)))

    def command(self, worker_id: str, command: str) -> bool:
        """Leave a command for a worker; return whether it is registered."""
        return bool(self.server.run("command", (worker_id, command)))

    def command_of(self, worker_id: str) -> str:
        """Return the last command for a worker."""
        return decoded(self.server.ask("HGET", self.server.key("commands"), worker_id) or b"")

    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers, of all machines."""
        found = [decoded(value) for value in self.server.run("workers", ())]
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        return [worker_of_text(worker_id, info, int(age) / 1e6) for worker_id, age, info in rows]
