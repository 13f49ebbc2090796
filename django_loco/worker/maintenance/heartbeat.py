"""Keeps the worker's claims valid, however long its jobs run and however busy its other threads are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Queue
from ..claimed_job import Run
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
        held: dict[str, Run],
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
        runs = [run for run in self._held.copy().values() if self._is_alive(run)]
        before = self._clock()
        parts = [runs[first : first + RENEW_BATCH] for first in range(0, len(runs), RENEW_BATCH)]
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

    def _renewed(self, runs: Sequence[Run], now: float) -> Exception | None:
        """Renew one part, whatever becomes of the others; return what the queue raised."""
        asked_at = time.monotonic()
        try:
            gone = self.queue.renew([run.job for run in runs], MARGIN * self._lease)
        except Exception as error:  # noqa: BLE001 - raised by the caller
            return error
        for run in runs:
            run.renewed_at = now
            if run.job.id in gone:
                self._lose(run)
            elif self._held.get(run.job.id) is run:
                run.valid_until = asked_at + MARGIN * self._lease
                run.lost = False  # It was in doubt, and nobody has taken it.
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
            run for run in self._held.copy().values() if max(self.last_beat, run.fetched_at, run.renewed_at) < expired
        ]
        fresh = [run for run in doubtful if not run.lost]
        for run in fresh:
            run.lost = True
        if fresh:
            logger.error("Claims on %d jobs have run out unrenewed; others may run them now", len(fresh))

    def _is_alive(self, run: Run) -> bool:
        """Whether a claim is worth renewing; that on a run which can come to no end is left to the next worker."""
        if run.is_alive:
            return True
        if self._held.pop(run.job.id, None) is run:
            run.lost = True
            logger.error("No thread runs job %s (%s) any more; it will be rescued", run.job.id, run.job.task_path)
        return False

    def _lose(self, run: Run) -> None:
        """Stop renewing a claim that is gone, unless the run has ended: then the fetcher is about to be told so."""
        if run.is_settled or self._held.get(run.job.id) is not run:
            return
        del self._held[run.job.id]
        run.lost = True
        logger.warning(
            "The claim on job %s (%s) was lost; it goes on, but in vain", run.job.id, one_line(run.job.task_path)
        )
