"""The workers of a queue in a database: the table of ``models.StoredWorker``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..rows import Row
from ..workers import WorkerInfo, WorkerRegistry, text_of_worker, worker_of_text
from .shown_rows import readable_time
from .statements import REGISTER, UNREGISTER, WORKERS


class DatabaseRegistry(WorkerRegistry):
    """Rows whose times are the queue's clock."""

    def __init__(self, run: Callable[..., Sequence[Row]]) -> None:
        """``run`` runs a statement with its parameters."""
        self._run = run

    def register(self, worker: WorkerInfo) -> None:
        """Record that ``worker`` lives."""
        self._run(REGISTER, worker_id=worker.worker_id, info=text_of_worker(worker), now=0)

    def unregister(self, worker_id: str) -> bool:
        """Delete a worker; return whether it was registered."""
        return bool(self._run(UNREGISTER, worker_id=worker_id))

    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers."""
        return [
            worker_of_text(worker_id, info, _seconds(heartbeat_at, now))
            for worker_id, info, heartbeat_at, now in self._run(WORKERS, now=0)
        ]


def _seconds(before: Any, after: Any) -> float:
    first, second = readable_time(before), readable_time(after)
    return (second - first).total_seconds() if first and second else 0.0
