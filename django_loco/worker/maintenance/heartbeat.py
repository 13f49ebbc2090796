"""Renews the worker's claims on its jobs, however long they run, and keeps the worker in the registry."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from ... import __version__
from ...core.job import utcnow
from ...exceptions import QueueUnavailable
from ...log.plain_text import counted, one_line
from ...log.safe import get_logger
from ...queues import Claim, Queue
from ...queues.base import PROBE_SECONDS
from ...queues.timeouts import store_timeout
from ...queues.workers import WorkerInfo, WorkerState
from ..claimed_job import IS_GONE, ClaimedJob
from ..queue_thread import QueueThread
from .memory_limit import MEGABYTE, resident

logger = get_logger("django_loco.worker")

#: The part of ``LEASE`` for which a claim is valid. The rest is left for the time until the next rescue. So the jobs of
#: a dead worker are rescued within one ``LEASE``.
VALID_PART = 0.9
#: How often claims are renewed within one ``LEASE``.
RENEWALS_PER_LEASE = 3
#: The number of claims that are renewed in one call. Every store can handle this many.
RENEW_BATCH = 1_000
#: How long stacks that somebody has asked for stay in the registry.
STACKS_SECONDS = 300.0


class Heartbeat(QueueThread):
    """Renews the claims on all jobs that the worker holds, ``RENEWALS_PER_LEASE`` times per lease.

    If another worker has the claim on a job by now, ``context.stopping`` of the job is set; the job cannot be
    cancelled. The same happens to all jobs if no renewal has succeeded for a whole lease by the monotonic clock,
    because other workers may have them.
    """

    name: ClassVar[str] = "heartbeat"
    duty: ClassVar[str] = "renew its claims"

    def __init__(
        self,
        queue: Queue,
        held: dict[str, ClaimedJob],
        lease: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        worker: WorkerInfo | None = None,
        state: Callable[[], str] = lambda: WorkerState.RUNNING,
        on_lost: Callable[[Sequence[ClaimedJob]], None] = lambda _: None,
    ) -> None:
        """``held`` has the worker's jobs by id, shared with the fetcher. ``lease`` is ``LEASE``, in seconds.

        ``worker`` is how the worker describes itself in the registry of the queue; ``None``: it is not registered.
        ``state`` returns whether it takes jobs now. ``on_lost`` is called with the jobs that the worker no longer
        holds. It marks the cancelled and the missing ones.
        """
        super().__init__(queue)
        self._worker, self._state = worker, state
        self._has_logged = False
        self._has_missing = False
        """Whether a running job has been found missing since the last turn."""
        self._stacks = "", -math.inf
        """The text to show in the registry, and the time until which it is shown."""
        self.last_beat = clock()
        """The time of the last turn that succeeded, by ``clock``."""
        self._steady_since = -math.inf
        self._held = held
        self._on_lost = on_lost
        self._lease = lease
        self._clock = clock

    def turn(self) -> float:
        """Renew all claims once."""
        claimed_jobs = [claimed for claimed in self._held.copy().values() if self._is_alive(claimed)]
        before = self._clock()
        parts = [claimed_jobs[first : first + RENEW_BATCH] for first in range(0, len(claimed_jobs), RENEW_BATCH)]
        errors = [error for part in parts if (error := self._renewed(part, before)) is not None]
        if errors:
            raise errors[-1]
        if before - self.last_beat > self._lease / 2:
            self._steady_since = self._clock()
        self.last_beat = before
        if self._has_missing:
            self._has_missing = False
            self._in_registry(self._report_lost_data)
        self.register()
        return self._lease / RENEWALS_PER_LEASE

    def register(self, stacks: str = "") -> None:
        """Write the worker into the registry of the queue as it is now. For any thread.

        ``stacks`` is the text of its process's stacks, if somebody has asked for them. It stays there for some minutes.
        """
        if stacks:
            self._stacks = stacks, self._clock() + STACKS_SECONDS
        if self._worker is not None:
            shown = self._stacks[0] if self._clock() < self._stacks[1] else ""
            held = [*self._held.copy().values()]
            coroutines = sum(claimed.job.is_async for claimed in held)
            memory = int(resident() * MEGABYTE)
            info = self._worker.beating(len(held), self._state(), memory, shown, coroutines)
            self._in_registry(lambda: self.queue.register(info))

    def close(self) -> None:
        """Remove the worker from the registry. A queue that was away is asked as well, because it may be back."""
        if self._worker is None:
            return
        try:
            with store_timeout(PROBE_SECONDS):  # it must not delay the shutdown
                self.queue.unregister(self._worker.worker_id)
        except Exception as error:  # noqa: BLE001 - others will soon presume it dead; the turns have logged the error
            logger.info("The worker could not take itself off the registry: %s", error)

    def _in_registry(self, action: Callable[[], object]) -> None:
        """Call ``action``. The registry is only shown to people, so an error is logged once and changes nothing."""
        try:
            action()
        except QueueUnavailable as error:
            if not self._has_logged:
                logger.warning("The worker cannot be registered with its queue for now: %s", error)
            self._has_logged = True
        else:
            if self._has_logged:
                logger.info("The worker is registered with its queue again")
            self._has_logged = False

    def _report_lost_data(self) -> None:
        """Log that the store has lost its data, if the worker's own entry is missing, too."""
        if self._worker and all(other.worker_id != self._worker.worker_id for other in self.queue.workers()):
            logger.error(
                "The store of TASKS[%r] was emptied or replaced: neither a running job nor the entry of this worker is "
                "there any more. The jobs that waited are gone",
                self.queue.alias,
            )

    def _renewed(self, claimed_jobs: Sequence[ClaimedJob], now: float) -> Exception | None:
        """Renew one batch. Return the queue's error; ``None`` if there was none."""
        asked_at = time.monotonic()
        try:
            gone = self.queue.renew([claimed.job for claimed in claimed_jobs], VALID_PART * self._lease)
            if gone:
                self._on_lost([claimed for claimed in claimed_jobs if claimed.job.id in gone])
        except Exception as error:  # noqa: BLE001 - raised by the caller
            return error
        for claimed in claimed_jobs:
            claimed.renewed_at = now
            if claimed.job.id in gone:
                self._lose(claimed)
            elif self._held.get(claimed.job.id) is claimed:
                claimed.valid_until = asked_at + VALID_PART * self._lease
                claimed.expired = False  # the claim was in doubt, but no other worker has taken it
        return None

    @property
    def is_steady(self) -> bool:
        """Whether renewals have succeeded for so long that other live workers must have renewed their claims as well.

        After an outage, or after this process was suspended, every lease may have run out although no worker died. An
        immediate rescue would take the jobs of live workers.
        """
        now = self._clock()
        return now - self.last_beat <= self._lease / 2 and now - self._steady_since >= self._lease / RENEWALS_PER_LEASE

    def failed(self, error: BaseException) -> float:
        """Mark the claims whose leases must have run out; return the seconds until the next turn."""
        self._lose_expired()
        return super().failed(error)

    def _lose_expired(self) -> None:
        expired = self._clock() - VALID_PART * self._lease
        fresh = [
            claimed
            for claimed in self._held.copy().values()
            if not claimed.expired and max(self.last_beat, claimed.fetched_at, claimed.renewed_at) < expired
        ]
        for claimed in fresh:
            claimed.expired = True
        if fresh:
            logger.error(
                "%s run out without a renewal; other workers may run these jobs now",
                counted(len(fresh), "claim has", "claims have"),
            )

    def _is_alive(self, claimed: ClaimedJob) -> bool:
        """Return whether to renew a claim. If the thread of the job has died, other workers will rescue the job."""
        if claimed.is_alive:
            return True
        if self._held.get(claimed.job.id) is claimed:  # not a later run of the same job
            self._held.pop(claimed.job.id, None)
            claimed.expired = True
            logger.error(
                "No thread runs job %s (%s) any more; it will be rescued", claimed.job.id, claimed.job.task_path
            )
        return False

    def _lose(self, claimed: ClaimedJob) -> None:
        """Stop renewing a claim that another worker has. If the job has ended, the queue will refuse its outcome."""
        if claimed.is_decided or claimed.cancelled or self._held.get(claimed.job.id) is not claimed:
            return
        self._held.pop(claimed.job.id, None)
        claimed.expired = True
        self._has_missing |= claimed.is_missing
        said = "Lost the claim on job %s (%s); it keeps running, but its result will be discarded"
        if claimed.is_missing:
            said = f"Job %s (%s) {IS_GONE}; it keeps running, but its result will be discarded"
        logger.warning(said, claimed.job.id, one_line(claimed.job.task_path))


def info_of(claim: Claim, lease: float, *, role: str = "", release: str = "") -> WorkerInfo:
    """Return the entry of a worker of this process with this ``claim`` in the registry."""
    return WorkerInfo(
        worker_id=claim.worker_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        queues=claim.queues,
        tags=claim.tags,
        threads=claim.threads,
        coroutines=claim.coroutines,
        lease=lease,
        started_at=utcnow(),
        version=__version__,
        role=role,
        release=release,
    )
