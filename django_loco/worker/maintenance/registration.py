"""Lists the worker in the registry of its queue, and logs workers that have died."""

from __future__ import annotations

from collections.abc import Callable, Sized

from ...exceptions import QueueUnavailable
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.workers import WorkerInfo

logger = get_logger("django_loco.worker")


class Registration:
    """The entry of one worker in the registry of its queue.

    The registry is for people, who want to know which workers live. Jobs are rescued by their own leases, whatever it
    says. So an error here is logged once and changes nothing else.
    """

    def __init__(self, queue: Queue, worker: WorkerInfo, held: Sized) -> None:
        """``held`` has the jobs that the worker holds."""
        self._queue = queue
        self._worker = worker
        self._held = held
        self._is_logged = False

    def renew(self) -> None:
        """Show that the worker is alive."""
        self._tried(lambda: self._queue.register(self._worker.beating(len(self._held))))

    def end(self) -> None:
        """Remove the entry: the worker has ended, and not died."""
        self._tried(lambda: self._queue.unregister(self._worker.worker_id))

    def _tried(self, action: Callable[[], object]) -> None:
        try:
            action()
        except QueueUnavailable as error:
            if not self._is_logged:
                logger.warning("The worker cannot be registered with its queue for now: %s", error)
            self._is_logged = True
        else:
            self._is_logged = False


def report_dead(queue: Queue, is_dead: Callable[[WorkerInfo], bool] = lambda worker: not worker.is_alive) -> None:
    """Log each worker that has died; only one of all workers logs it. Raises ``QueueUnavailable``."""
    for worker in queue.workers():
        if is_dead(worker) and queue.unregister(worker.worker_id):
            logger.warning(
                "Worker %s (process %d on %s) has died: no heartbeat for %.0f s. Other workers run its jobs again",
                worker.worker_id,
                worker.pid,
                worker.host,
                worker.heartbeat_age,
            )
