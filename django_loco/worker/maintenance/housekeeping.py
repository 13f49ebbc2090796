"""The thread for the housekeeping: it rescues, prunes, finishes batches, writes statistics, announces ends of jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from queue import SimpleQueue
from typing import ClassVar

from ...core.job import Job, Outcome
from ...exceptions import QueueUnavailable
from ...jobs.operations.batches.follow_up import FollowUp, has_followers
from ...metrics.tally import Tally
from ...metrics.writer import MinuteWriter
from ...queues import Queue
from ..claimed_job import ClaimedJob
from ..execution.announcements import announce_apart, announce_cancelled, announce_refused, announce_released
from ..queue_thread import QueueThread
from .pruner import Pruner
from .reaper import Reaper


class Housekeeping(QueueThread):
    """Announces deferred ends and runs the reaper, the pruner and the statistics writer, ten times per lease.

    It is a separate thread, so that a long deletion does not delay the heartbeat. While many results are old,
    it takes turns without pauses.
    """

    name: ClassVar[str] = "housekeeping"
    duty: ClassVar[str] = "rescue jobs and delete old results"

    def __init__(
        self,
        queue: Queue,
        lease: float,
        result_ttl: float,
        clock: Callable[[], float] = time.monotonic,
        may_rescue: Callable[[], bool] = lambda: True,
        *,
        dead: Collection[str] = (),
        wake: Callable[[], None] = lambda: None,
        tally: Tally | None = None,
    ) -> None:
        """Starts nothing.

        Args:
            queue: see ``Reaper``.
            lease: ``LEASE``, in seconds.
            result_ttl: ``RESULT_TTL``, in seconds.
            clock: ``time.monotonic``.
            may_rescue: see ``Reaper``.
            dead: see ``Reaper``.
            wake: makes the fetcher look for jobs. Called when ``has_looked`` is set, and when jobs were released that
                had waited for others, because the store's own notice may come later.
            tally: what the worker has counted.
        """
        super().__init__(queue)
        self.has_looked = threading.Event()
        """Set once the jobs of dead workers that could be rescued at the start have been rescued."""
        self._wake_fetcher = wake
        self._lease = lease
        tally = tally or Tally()
        self._follow_up = FollowUp(queue, clock, wake)

        def on_rescued(jobs: Sequence[Job]) -> None:
            tally.lost(jobs)
            self._follow_up.note(jobs)

        self._reaper = Reaper(queue, lease, self.ended, clock, may_rescue=may_rescue, dead=dead, on_rescued=on_rescued)
        self._writer = MinuteWriter(queue, tally, clock)
        self._pruner = Pruner(queue, result_ttl, self.ended, clock)
        self._announcements: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._clock, self._next_round = clock, clock()

    @property
    def is_idle(self) -> bool:
        """Whether it has looked for jobs of dead workers, and has finished every batch whose members have ended."""
        return self.has_looked.is_set() and self._follow_up.is_idle

    def announce_later(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        """Announce in the next turn the ``outcome`` of a job, which the queue has stored."""
        if announcement := _announcement_of(claimed, outcome):
            self._announcements.put(announcement)
        if has_followers(claimed.job):
            self._follow_up.note([outcome.applied()])
            self._wake.set()

    def call_later(self, announcement: Callable[[], None]) -> None:
        """Call ``announcement`` in this thread; for other threads and for signal handlers."""
        self._announcements.put(announcement)
        self._wake.set()

    def turn(self) -> float:
        """Announce, write statistics, reap, prune. A turn for the end of a batch member only finishes the batch."""
        self._announce()
        if self._follow_up.settle() and (rest := self._next_round - self._clock()) > 0:
            return rest
        self._writer.write_if_due()
        try:
            self._reaper.reap()
            self._follow_up.settle()
            self._follow_up.settle_rest()
            self._follow_up.sweep_if_due()
        finally:  # prune even if a job cannot be rescued
            is_left = self._pruner.prune_if_due()
        self._note_turn()
        pause = 0.0 if is_left else self._lease / 10
        self._next_round = self._clock() + pause
        return pause

    def failed(self, error: BaseException) -> float:
        """Return the seconds until the next turn. A turn that failed without an outage counts as done."""
        if not isinstance(error, QueueUnavailable):
            self._note_turn()
        return super().failed(error)

    def close(self) -> None:
        """Write the last statistics and finish batches if the queue answers, and announce what is left."""
        if not self.backoff.reason:
            self._writer.write()
            self._follow_up.settle()
            self._follow_up.settle_rest()
        self._announce()

    def _note_turn(self) -> None:
        if not self.has_looked.is_set():
            self.has_looked.set()
            self._wake_fetcher()

    def _announce(self) -> None:
        while not self._announcements.empty():
            announce_apart(self._announcements.get())


def _announcement_of(claimed: ClaimedJob, outcome: Outcome) -> Callable[[], None] | None:
    """Return a call that announces ``outcome``, which the queue has stored; ``None`` if nothing is left to announce."""
    if claimed.was_replaced_by(outcome) or (claimed.cancelled and claimed.announcement):
        return partial(announce_cancelled if claimed.cancelled else announce_refused, outcome.applied())
    if claimed.was_handed_back:
        return partial(announce_released, outcome.applied())
    return claimed.announcement
