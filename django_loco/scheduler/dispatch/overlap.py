"""What becomes of a tick while an earlier job of its schedule has not ended.

* ``"allow"``: it is fired all the same.
* ``"skip"``: it is left out.
* ``"queue"``: it waits until that job has ended, and is fired then: one after the other, in their order.

Every job of the schedule counts that waits or runs: of another tick, of a run by hand, whoever has made it.

How far that holds
------------------
To look whether such a job is there, and to enqueue one, are two steps. So a run by hand that is begun between the two
runs beside the tick; and so do two ticks if one scheduler fires the first a whole period late, at the moment at which
another fires the second. Never are there two jobs of one tick. And a job that was presumed dead, and so was given to
another worker, may still be running. What must never run twice at a time needs a lock of its own.

Ticks that wait do so in each scheduler by itself, and one that was started since knows the later ones only. It sees by
the jobs that there are that some are missing, and lets others fire these first: for 2 seconds after each job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ...core.job import READY, RUNNING, JobSummary
from ...exceptions import QueueError, QueueRefused
from ...log.safe import get_logger
from ..entry import Entry, Occurrence
from ..jobs import jobs_of, tick_of
from .pending import PendingOccurrences
from .queue_backoff import QueueBackoffs

logger = get_logger("django_loco.scheduler")

#: How many of a schedule's newest jobs are looked through.
JOBS_INSPECTED = 50
#: How often is looked whether the job has ended that a tick waits for.
POLL_INTERVAL = timedelta(seconds=1)
#: For how long a tick lets those go first that may wait in another scheduler.
YIELD_TIME = timedelta(seconds=2)


class OverlapPolicy:
    """Decides whose turn it is, and fires what has waited for it with ``fire``.

    1. ``begin`` says since when it knows what was due.
    2. ``has_come`` is asked for each tick that is due; what has to wait gets into line.
    3. ``advance`` fires from the lines, the first of each that can be. One look a second for each line.

    Used by one thread; ``waiting.count`` may be read from others.
    """

    def __init__(self, backoffs: QueueBackoffs, fire: Callable[[Entry, Occurrence], None]) -> None:
        self.waiting = PendingOccurrences()
        self._backoffs = backoffs
        self._fire = fire
        self._began: datetime | None = None
        self._given_time: dict[str, datetime | None] = {}

    def begin(self, now: datetime) -> None:
        """Begin anew: what was due before ``now`` is not known here."""
        self.waiting.clear()
        self._began = now
        self._given_time.clear()

    def has_come(self, entry: Entry, occurrence: Occurrence, now: datetime) -> bool:
        """Whether ``occurrence`` is to be fired now. If not, it waits, or is left out. Raises ``QueueError``."""
        if occurrence.overlap == "allow":
            return True
        has_line = entry.name in self.waiting
        # Where the store is away a tick does not get into line unseen: it may come to count as missed.
        can_tell = has_line and entry.task.backend not in self._backoffs.aliases
        wait = POLL_INTERVAL if can_tell else self._wait(entry, occurrence)
        if not (wait or has_line):
            return True
        if occurrence.overlap == "queue":
            self.waiting.add(occurrence, now + (wait or POLL_INTERVAL), entry.misfire.cap)
        else:
            _tell_left_out(occurrence)
        return False

    def advance(self, entry_of: Callable[[str], Entry | None], now: datetime) -> None:
        """Try what waits; that of schedules which ``entry_of`` does not know is left out."""
        for name in self.waiting.ready(now):
            if (entry := entry_of(name)) is None:
                logger.info("Schedule %r is paused or gone, and what waits of it is left out", name)
            while occurrence := self.waiting.first(name):
                until = None if entry is None else self._tried(entry, occurrence, now)
                if until is not None:
                    self.waiting.postpone(name, until)
                    break
                self.waiting.drop(name)

    def _tried(self, entry: Entry, occurrence: Occurrence, now: datetime) -> datetime | None:
        """Return when to try again; ``None``: it is done with."""
        alias = entry.task.backend
        if until := self._backoffs.wait_until(alias, now):
            return until
        try:
            wait = None if occurrence.overlap == "allow" else self._wait(entry, occurrence)
            if wait is None:
                self._fire(entry, occurrence)
            elif occurrence.overlap == "queue":
                return now + wait
            else:
                _tell_left_out(occurrence)
        except Exception as error:
            if isinstance(error, QueueError) and not isinstance(error, QueueRefused):
                return self._backoffs.note(alias, error, now)
            # Whatever is wrong with this one, the others have to run.
            logger.exception(
                "Schedule %r: the tick of %s could not be enqueued and is left out", entry.name, occurrence.told
            )
        return None

    def _wait(self, entry: Entry, occurrence: Occurrence) -> timedelta | None:
        """Return when to look again; ``None``: now is its turn, or another scheduler has made its job."""
        jobs = jobs_of(entry, JOBS_INSPECTED)
        self._backoffs.reached(entry.task.backend)
        if any(job.key == occurrence.key for job in jobs):
            return None
        if any(job.status in (READY, RUNNING) for job in jobs):
            return POLL_INTERVAL
        return YIELD_TIME if occurrence.overlap == "queue" and self._is_ahead(entry, occurrence, jobs) else None

    def _is_ahead(self, entry: Entry, occurrence: Occurrence, jobs: Sequence[JobSummary]) -> bool:
        """Whether there are earlier ticks that have no job, of a time when this scheduler did not run yet.

        They may wait in another one. It has time to fire the first of them: the second time the answer is no.
        """
        last = max(filter(None, map(tick_of, jobs)), default=None)
        following = entry.trigger.next_after(last) if last and self._began else None
        if not (self._began and following and following < min(occurrence.at, self._began)):
            return False
        had_time = self._given_time.get(entry.name) == last
        self._given_time[entry.name] = last
        return not had_time


def _tell_left_out(occurrence: Occurrence) -> None:
    logger.info(
        "Schedule %r: the tick of %s is left out: an earlier job has not ended", occurrence.name, occurrence.told
    )
