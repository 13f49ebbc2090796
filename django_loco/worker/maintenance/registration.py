"""How a worker shows the others that it lives, and how they notice that it has died."""

from __future__ import annotations

from collections.abc import Callable, Sized

from ...exceptions import QueueUnavailable
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.workers import WorkerInfo

logger = get_logger("django_loco.worker")


class Registration:
    """The entry of one worker in the registry of its queue.

    It is for people: who works, and who does not any more. Jobs are freed by their own leases, whatever it says; so
    trouble with it is logged once, and keeps nobody from anything.
    """

    def __init__(self, queue: Queue, worker: WorkerInfo, held: Sized) -> None:
        """``held``: the jobs that the worker holds."""
        self._queue = queue
        self._worker = worker
        self._held = held
        self._is_told = False

    def renew(self) -> None:
        """Show that the worker lives."""
        self._tried(lambda: self._queue.registry.register(self._worker.beating(len(self._held))))

    def end(self) -> None:
        """Say that the worker has ended, rather than died."""
        self._tried(lambda: self._queue.registry.unregister(self._worker.worker_id))

    def _tried(self, action: Callable[[], object]) -> None:
        try:
            action()
        except QueueUnavailable as error:
            if not self._is_told:
                logger.warning("The worker cannot be listed among those of its queue for now: %s", error)
            self._is_told = True
        else:
            self._is_told = False


def report_dead(queue: Queue, is_dead: Callable[[WorkerInfo], bool] = lambda worker: not worker.is_alive) -> None:
    """Log each worker that has died, once among all that look. Raises ``QueueUnavailable``."""
    for worker in queue.registry.workers():
        if is_dead(worker) and queue.registry.unregister(worker.worker_id):
            logger.warning(
                "Worker %s (process %d on %s) has died: no heartbeat for %.0f s. Other workers run its jobs again",
                worker.worker_id,
                worker.pid,
                worker.host,
                worker.heartbeat_age,
            )
