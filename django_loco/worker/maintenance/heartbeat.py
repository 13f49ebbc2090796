"""Keeps the worker's claims valid, however long its jobs run and however busy its other threads are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Queue
from ..claimed_job import ClaimedJob
from .queue_thread import QueueThread
from .registration import Registration

logger = get_logger("django_loco.worker")

#: Claims are valid for this part of ``LEASE``. What is left is for the next rescue to come round, so that a dead
#: worker's jobs are back within one ``LEASE``.
MARGIN = 0.9
#: How many claims are renewed in one call, so that it is never too much for a store.
RENEW_BATCH = 1_000


class Heartbeat(QueueThread):
    """Renews the claims on all jobs that the worker holds, three times per lease.

    A job whose claim turns out to be somebody else's by now is told so (``context.stopping``); nobody can end it. The
    same goes for all jobs if no renewal has worked for a whole lease, counted by the monotonic clock: then others may
    have them, and only the queue knows.
    """

    name: ClassVar[str] = "heartbeat"
    duty: ClassVar[str] = "renew its claims"

    def __init__(
        self,
        queue: Queue,
        held: dict[str, ClaimedJob],
        lease: float,
        clock: Callable[[], float] = time.monotonic,
        registration: Registration | None = None,
    ) -> None:
        """``held``: the runs by job id, shared with the fetcher. ``lease``: ``LEASE``, in seconds."""
        super().__init__(queue)
        self._registration = registration
        self.last_beat = clock()
        """When it last worked, by ``clock``."""
        self._steady_since = -math.inf
        self._held = held
        self._lease = lease
        self._clock = clock

    def turn(self) -> float:
        """Renew once."""
        claimed_jobs = [claimed for claimed in self._held.copy().values() if self._is_alive(claimed)]
        before = self._clock()
        parts = [claimed_jobs[first : first + RENEW_BATCH] for first in range(0, len(claimed_jobs), RENEW_BATCH)]
        errors = [error for part in parts if (error := self._renewed(part, before)) is not None]
        if errors:
            raise errors[-1]
        if before - self.last_beat > self._lease / 2:
            self._steady_since = self._clock()
        self.last_beat = before
        if self._registration is not None:
            self._registration.renew()
        return self._lease / 3

    def close(self) -> None:
        """Say that the worker has ended; not to a queue that is away, which would hold up the end."""
        if self._registration is not None and not self.backoff.reason:
            self._registration.end()

    def _renewed(self, claimed_jobs: Sequence[ClaimedJob], now: float) -> Exception | None:
        """Renew one part, whatever becomes of the others; return what the queue raised."""
        asked_at = time.monotonic()
        try:
            gone = self.queue.renew([claimed.job for claimed in claimed_jobs], MARGIN * self._lease)
        except Exception as error:  # noqa: BLE001 - raised by the caller
            return error
        for claimed in claimed_jobs:
            claimed.renewed_at = now
            if claimed.job.id in gone:
                self._lose(claimed)
            elif self._held.get(claimed.job.id) is claimed:
                claimed.valid_until = asked_at + MARGIN * self._lease
                claimed.lost = False  # It was in doubt, and nobody has taken it.
        return None

    @property
    def is_steady(self) -> bool:
        """Whether renewals have worked for long enough that those of other live workers must have worked, too.

        After an outage, or a time for which this process was suspended, every lease may have run out though nobody
        died; whoever rescued at once would take the jobs of the living.
        """
        now = self._clock()
        return now - self.last_beat <= self._lease / 2 and now - self._steady_since >= self._lease / 3

    def failed(self, error: BaseException) -> float:
        """Give up the claims that must have run out, and return the seconds until the next turn."""
        self._give_up_expired()
        return super().failed(error)

    def _give_up_expired(self) -> None:
        expired = self._clock() - MARGIN * self._lease
        doubtful = [
            claimed
            for claimed in self._held.copy().values()
            if max(self.last_beat, claimed.fetched_at, claimed.renewed_at) < expired
        ]
        fresh = [claimed for claimed in doubtful if not claimed.lost]
        for claimed in fresh:
            claimed.lost = True
        if fresh:
            logger.error("Claims on %d jobs have run out unrenewed; others may run them now", len(fresh))

    def _is_alive(self, claimed: ClaimedJob) -> bool:
        """Whether a claim is worth renewing; that on a run which can come to no end is left to the next worker."""
        if claimed.is_alive:
            return True
        if self._held.pop(claimed.job.id, None) is claimed:
            claimed.lost = True
            logger.error(
                "No thread runs job %s (%s) any more; it will be rescued", claimed.job.id, claimed.job.task_path
            )
        return False

    def _lose(self, claimed: ClaimedJob) -> None:
        """Stop renewing a claim that is gone, unless the run has ended: then the fetcher is about to be told so."""
        if claimed.is_settled or self._held.get(claimed.job.id) is not claimed:
            return
        del self._held[claimed.job.id]
        claimed.lost = True
        logger.warning(
            "The claim on job %s (%s) was lost; it goes on, but in vain",
            claimed.job.id,
            one_line(claimed.job.task_path),
        )
