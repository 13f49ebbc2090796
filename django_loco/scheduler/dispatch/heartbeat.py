"""Shows that a scheduler lives, in the registry of workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from secrets import token_hex

from ... import __version__
from ...conf import loco_settings
from ...core.backoff import LoggedBackoff
from ...core.job import utcnow
from ...core.threads.periodic_thread import PeriodicThread
from ...jobs.stores import aliases, backend_of
from ...log.safe import get_logger
from ...queues import Queue, queue_for
from ...queues.base import PROBE_SECONDS
from ...queues.timeouts import set_store_timeout, store_timeout
from ...queues.workers import ENTRY, Role, WorkerInfo, WorkerState

logger = get_logger("django_loco.scheduler")

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 30.0


class SchedulerHeartbeat(PeriodicThread):
    """Registers a scheduler with one queue, three times per ``LEASE``.

    It has a thread of its own, so a queue that does not answer delays no tick.
    """

    def __init__(self, queue: Queue, info: WorkerInfo, schedules: Callable[[], int]) -> None:
        """``info`` is the entry in the registry; ``schedules`` returns the number of schedules that it fires."""
        backoff = LoggedBackoff(logger, "The scheduler", "show that it lives", FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS)
        super().__init__("loco-scheduler-heartbeat", backoff, component="scheduler")
        self._queue, self._info, self._schedules = queue, info, schedules
        self._state = WorkerState.RUNNING

    def quiet(self) -> None:
        """Show that it fires no more ticks."""
        self._state = WorkerState.QUIET
        self._wake.set()

    def run(self) -> None:
        """Take turns until ``end``."""
        set_store_timeout()
        super().run()

    def turn(self) -> float:
        """Register it once."""
        self._queue.register(replace(self._info, state=self._state, schedules=self._schedules()))
        return self._info.lease / 3

    def failed(self, error: BaseException) -> float:
        """Begin the next try with a new connection."""
        self._queue.close()
        return super().failed(error)

    def close(self) -> None:
        """Remove it from the registry. A queue that was away is asked as well, because it may be back."""
        try:
            with store_timeout(PROBE_SECONDS):  # it must not delay the shutdown
                self._queue.unregister(self._info.worker_id)
        except Exception as error:  # noqa: BLE001 - others will soon presume it dead; the turns have logged the error
            logger.info("The scheduler could not take itself off the registry: %s", error)
        finally:
            self._queue.close()


def heartbeats_for(tags: Collection[str], schedules: Callable[[], int]) -> Sequence[SchedulerHeartbeat]:
    """Return the heartbeats of a new scheduler of this process, one for each alias of ``TASKS`` that stores jobs.

    ``schedules`` returns the number of schedules that it fires.
    """
    info = _info(tags)
    # Random, because several containers may have the same host name, and in each the scheduler may be process 1.
    scheduler_id = f"{info.host}:{info.pid}:{token_hex(3)}"
    stored = [alias for alias in aliases() if backend_of(alias).runs_stored_jobs]
    # Ids are unique within a table, and several aliases may share a table.
    entries = [replace(info, worker_id=f"{scheduler_id}{ENTRY}{number}") for number in range(len(stored))]
    return [
        SchedulerHeartbeat(queue_for(alias), entry, schedules) for alias, entry in zip(stored, entries, strict=True)
    ]


def _info(tags: Collection[str]) -> WorkerInfo:
    settings = loco_settings()
    return WorkerInfo(
        worker_id="",
        host=socket.gethostname(),
        pid=os.getpid(),
        queues=(),
        tags=tuple(sorted(tags)) or None,
        threads=0,
        coroutines=0,
        lease=settings.LEASE,
        started_at=utcnow(),
        version=__version__,
        role=Role.SCHEDULER,
        release=settings.RELEASE,
    )
