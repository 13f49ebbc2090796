"""Hands the jobs of a worker that stops back to the queue: near the deadline, and at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Protocol

from ...log.plain_text import counted
from ...log.safe import get_logger
from .deadline import ShutdownDeadline
from .held_jobs import HeldJobs

logger = get_logger("django_loco.worker")

#: Outcomes that come in so long after the deadline are still stored.
LAST_OUTCOMES_SECONDS = 0.5


class CancellablePool(Protocol):
    """A pool whose jobs can be cancelled, if they are async."""

    def cancel(self) -> None:
        """Cancel every async job."""


class HandBack:
    """Ends the jobs that a worker holds when it stops. For the fetcher's thread."""

    def __init__(
        self,
        jobs: HeldJobs,
        pools: Sequence[CancellablePool],
        shutdown: ShutdownDeadline,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs, self._pools = jobs, pools
        self._shutdown, self._clock = shutdown, clock

    def near_deadline(self) -> None:
        """Near the deadline of a stop, cancel the async jobs, and then hand back the jobs that still run."""
        now = self._clock()
        if now >= self._shutdown.cancel_at:
            for pool in self._pools:
                pool.cancel()
        if now >= self._shutdown.release_at:
            self._jobs.release_all()

    def finish(self, collect: Callable[[], object], wake: Event, on_error: Callable[[BaseException], object]) -> None:
        """Hand back the jobs that are left, if the deadline came too soon. The queue's errors go to ``on_error``.

        Outcomes of jobs that have just ended have a little time to come in: ``wake`` is set when they do, and
        ``collect`` takes them.
        """
        until = self._clock() + LAST_OUTCOMES_SECONDS
        collect()
        self._jobs.release_all()
        acknowledger = self._jobs.acknowledger
        try:
            acknowledger.flush()
            while self._jobs and self._clock() < until:
                wake.wait(min(until - self._clock(), acknowledger.max_wait))
                wake.clear()
                collect()
                acknowledger.flush()
        except BaseException as error:  # noqa: BLE001 - as said
            on_error(error)
        if left := len(acknowledger):
            logger.error("%s could not be stored; the jobs will be run again", counted(left, "outcome", "outcomes"))
