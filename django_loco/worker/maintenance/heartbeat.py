"""Renews the worker's claims on its jobs, however long they run, and shows other workers that it lives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from ...exceptions import QueueUnavailable
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.workers import WorkerInfo
from ..claimed_job import ClaimedJob
from .queue_thread import QueueThread

logger = get_logger("django_loco.worker")

#: The part of ``LEASE`` for which a claim is valid. The rest is for the next rescue to come, so that the jobs of a dead
#: worker are back within one ``LEASE``.
VALID_PART = 0.9
#: The number of claims that are renewed in one call, which is never too much for a store.
RENEW_BATCH = 1_000


class Heartbeat(QueueThread):
    """Renews the claims on all jobs that the worker holds, three times per lease.

    If another worker has the claim on a job by now, the job sees ``context.stopping``; it cannot be ended. So do all
    jobs if no renewal has worked for a whole lease, by the monotonic clock: then other workers may have them.
    """

    name: ClassVar[str] = "heartbeat"
    duty: ClassVar[str] = "renew its claims"

    def __init__(
        self,
        queue: Queue,
        held: dict[str, ClaimedJob],
        lease: float,
        clock: Callable[[], float] = time.monotonic,
        worker: WorkerInfo | None = None,
    ) -> None:
        """``held`` has the worker's jobs by id, shared with the fetcher. ``lease`` is ``LEASE``, in seconds.

        ``worker`` is how the worker describes itself in the registry of the queue; ``None``: it is not registered.
        """
        super().__init__(queue)
        self._worker = worker
        self._has_logged = False
        self.last_beat = clock()
        """The time of the last turn that succeeded, by ``clock``."""
        self._steady_since = -math.inf
        self._held = held
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
        if self._worker is not None:
            info = self._worker.beating(len(self._held))
            self._in_registry(lambda: self.queue.register(info))
        return self._lease / 3

    def close(self) -> None:
        """Remove the worker from the registry, unless the queue is away, which would hold up the end."""
        if self._worker is not None and not self.backoff.reason:
            worker_id = self._worker.worker_id
            self._in_registry(lambda: self.queue.unregister(worker_id))

    def _in_registry(self, action: Callable[[], object]) -> None:
        """Call ``action``. The registry is only shown to people, so an error is logged once and changes nothing."""
        try:
            action()
        except QueueUnavailable as error:
            if not self._has_logged:
                logger.warning("The worker cannot be registered with its queue for now: %s", error)
            self._has_logged = True
        else:
            self._has_logged = False

    def _renewed(self, claimed_jobs: Sequence[ClaimedJob], now: float) -> Exception | None:
        """Renew one batch; return what the queue raised."""
        asked_at = time.monotonic()
        try:
            gone = self.queue.renew([claimed.job for claimed in claimed_jobs], VALID_PART * self._lease)
        except Exception as error:  # noqa: BLE001 - raised by the caller
            return error
        for claimed in claimed_jobs:
            claimed.renewed_at = now
            if claimed.job.id in gone:
                self._lose(claimed)
            elif self._held.get(claimed.job.id) is claimed:
                claimed.valid_until = asked_at + VALID_PART * self._lease
                claimed.expired = False  # it was in doubt, and no other worker has taken it
        return None

    @property
    def is_steady(self) -> bool:
        """Whether renewals have worked for so long that those of other live workers must have worked, too.

        After an outage, or after this process was suspended, every lease may have run out although no worker died. A
        rescue at once would take the jobs of live workers.
        """
        now = self._clock()
        return now - self.last_beat <= self._lease / 2 and now - self._steady_since >= self._lease / 3

    def failed(self, error: BaseException) -> float:
        """Regard the claims that must have run out as lost; return the seconds until the next turn."""
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
                "Claims on %d jobs have run out without a renewal; other workers may run these jobs now", len(fresh)
            )

    def _is_alive(self, claimed: ClaimedJob) -> bool:
        """Whether to renew a claim: not for a job whose thread has died, which other workers will rescue."""
        if claimed.is_alive:
            return True
        if self._held.pop(claimed.job.id, None) is claimed:
            claimed.expired = True
            logger.error(
                "No thread runs job %s (%s) any more; it will be rescued", claimed.job.id, claimed.job.task_path
            )
        return False

    def _lose(self, claimed: ClaimedJob) -> None:
        """Stop renewing a claim that another worker has; the fetcher learns that of a job that has ended."""
        if claimed.is_decided or self._held.get(claimed.job.id) is not claimed:
            return
        del self._held[claimed.job.id]
        claimed.expired = True
        logger.warning(
            "Lost the claim on job %s (%s); it keeps running, but its result will be discarded",
            claimed.job.id,
            one_line(claimed.job.task_path),
        )
