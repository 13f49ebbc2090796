"""The workers of a queue in Redis."""

from __future__ import annotations

from collections.abc import Sequence

from ..workers import WorkerInfo, WorkerRegistry, text_of_worker, worker_of_text
from .scripts import REGISTER, WORKERS
from .server import RedisServer


class RedisRegistry(WorkerRegistry):
    """The hash ``workers``, whose times are the server's."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives."""
        self._server.run(REGISTER, (worker.worker_id, text_of_worker(worker)))

    def unregister(self, worker_id: str) -> bool:
        """Delete a worker; return whether it was registered."""
        return bool(self._server.ask("HDEL", self._server.key("workers"), worker_id))

    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers."""
        found = [value.decode(errors="replace") for value in self._server.run(WORKERS, ())]
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        return [worker_of_text(worker_id, info, int(age) / 1e6) for worker_id, age, info in rows]
