"""Decides whether a tick is fired while an earlier job of its schedule has not ended.

* ``"allow"``: the tick is fired.
* ``"skip"``: the tick is skipped. No store remembers this, so a scheduler that starts may consider the tick again, as a
  missed one. It sees from the existing jobs whether one of them was under way at that time.
* ``"queue"``: the tick waits until the earlier job has ended. Ticks that wait are fired one after the other, in order.

All jobs of the schedule that wait or run count, including those of manual runs and of other schedulers. A job for a
tick in the future does not count: a scheduler whose clock is ahead must not stop the schedule for the others.

Limits
------
A scheduler first looks for an earlier job and then enqueues one. A manual run that begins between these two steps runs
at the same time as the tick. Two ticks may also run at the same time, if one scheduler fires the first a whole period
late, just when another scheduler fires the second. A tick never has two jobs. A job whose worker was presumed dead, and
which another worker has taken over, may still be running. A task that must never run twice at a time needs a lock of
its own.

Each scheduler keeps its own list of the ticks that wait. A scheduler that was started later knows only the later ticks.
It sees from the existing jobs that earlier ticks have no job yet, and gives the other schedulers 2 seconds after each
job to fire them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from ...core.job import READY, RUNNING, JobSummary
from ...exceptions import QueueError, QueueRefused
from ...log.safe import get_logger
from ..entry import Occurrence, ScheduleEntry
from ..job_lookup import jobs_of, jobs_of_alias, tick_of, was_under_way
from ..misfire import MISSED_AFTER
from .announcements import announce_skipped
from .pending import PendingOccurrences
from .queue_backoff import QueueBackoffs

logger = get_logger("django_loco.scheduler")

#: The newest jobs of schedules, by their names.
Jobs = Mapping[str, Sequence[JobSummary]]

#: The number of a schedule's newest jobs that are inspected.
JOBS_INSPECTED = 50
#: How often a scheduler checks whether the earlier job has ended.
POLL_INTERVAL = timedelta(seconds=1)
#: How long a tick waits for earlier ticks that another scheduler may still fire.
YIELD_TIME = timedelta(seconds=2)
#: Clocks may differ by this much before a warning is logged.
CLOCK_DIFFERENCE = timedelta(seconds=5)


class OverlapPolicy:
    """Applies the ``overlap`` option, and fires ticks that have waited by calling ``fire``.

    1. ``begin`` sets the moment after which it knows all ticks.
    2. ``look`` reads the jobs of schedules that are due together. ``allows`` decides about each due tick. A tick that
       has to wait is kept in ``pending``.
    3. ``advance`` fires the ticks whose wait is over. It checks each schedule once a second.

    For one thread; others may read ``pending.count``.
    """

    def __init__(self, backoffs: QueueBackoffs, fire: Callable[[ScheduleEntry, Occurrence], None]) -> None:
        self.pending = PendingOccurrences()
        self._backoffs = backoffs
        self._fire = fire
        self._began: datetime | None = None
        self._yielded_after: dict[str, datetime | None] = {}
        self._has_warned = False

    def begin(self, now: datetime) -> None:
        """Start over, without the ticks before ``now``."""
        self.pending.clear()
        self._began = now
        self._yielded_after.clear()

    def look(self, entries: Iterable[ScheduleEntry]) -> Jobs:
        """Return the jobs that ``allows`` needs.

        All due schedules are read together: there may be thousands at midnight.

        Raises ``QueueError``.
        """
        asked = [entry for entry in entries if self._needs_look(entry)]
        if len(asked) < 2:  # noqa: PLR2004 - ``allows`` looks up a single schedule
            return {}
        found = jobs_of_alias(asked, JOBS_INSPECTED)
        self._backoffs.answered(asked[0].task.backend)
        return found

    def _needs_look(self, entry: ScheduleEntry) -> bool:
        # While the queue cannot be reached, a tick is not added without a check: it may count as missed later.
        can_tell = entry.name in self.pending and entry.task.backend not in self._backoffs.aliases
        return entry.overlap != "allow" and not can_tell

    def allows(self, entry: ScheduleEntry, occurrence: Occurrence, jobs: Jobs, now: datetime) -> bool:
        """Return whether to fire ``occurrence`` now. If not, it waits or is skipped. Raises ``QueueError``.

        ``jobs``: the result of ``look``.
        """
        if occurrence.overlap == "allow":
            return True
        has_pending = entry.name in self.pending
        wait = self._wait(entry, occurrence, now, jobs.get(entry.name)) if self._needs_look(entry) else POLL_INTERVAL
        if not (wait or has_pending):
            return True
        if occurrence.overlap == "queue":
            self.pending.add(occurrence, now + (wait or POLL_INTERVAL), entry.misfire.cap)
        else:
            _log_left_out(occurrence)
        return False

    def advance(self, entry_of: Callable[[str], ScheduleEntry | None], now: datetime) -> None:
        """Fire the ticks whose wait is over. Drop the ticks of schedules that ``entry_of`` does not know."""
        for name in self.pending.ready(now):
            if (entry := entry_of(name)) is None:
                logger.info("Schedule %r is paused or deleted; its waiting ticks are skipped", name)
            while occurrence := self.pending.first(name):
                if entry is None:
                    announce_skipped(name, occurrence.at, "paused")
                until = None if entry is None else self._try(entry, occurrence, now)
                if until is not None:
                    self.pending.postpone(name, until)
                    break
                self.pending.drop(name)

    def _try(self, entry: ScheduleEntry, occurrence: Occurrence, now: datetime) -> datetime | None:
        """Return when to try again; ``None`` if the occurrence was fired or dropped."""
        alias = entry.task.backend
        if until := self._backoffs.wait_until(alias, now):
            return until
        try:
            wait = None if occurrence.overlap == "allow" else self._wait(entry, occurrence, now)
            if wait is None:
                self._fire(entry, occurrence)
            elif occurrence.overlap == "queue":
                return now + wait
            else:
                _log_left_out(occurrence)
        except Exception as error:
            if isinstance(error, QueueError) and not isinstance(error, QueueRefused):
                return self._backoffs.failed(alias, error, now)
            # An error of one schedule must not affect the others.
            logger.exception(
                "Schedule %r: the tick of %s could not be enqueued and is skipped", entry.name, occurrence.label
            )
            announce_skipped(entry.name, occurrence.at, "error")
        return None

    def _wait(
        self, entry: ScheduleEntry, occurrence: Occurrence, now: datetime, jobs: Sequence[JobSummary] | None = None
    ) -> timedelta | None:
        """Return how long to wait; ``None`` if the tick may fire now, or if another scheduler has made its job.

        ``jobs``: the newest jobs of the schedule, if they are known.
        """
        if jobs is None:
            jobs = jobs_of(entry, JOBS_INSPECTED)
            self._backoffs.answered(entry.task.backend)
        if any(job.key == occurrence.key for job in jobs):
            return None
        for job in jobs:
            if job.status == READY and (tick := tick_of(job)) is not None and tick > now:
                self._warn(entry, tick, now)
            elif job.status in (READY, RUNNING):
                return POLL_INTERVAL
        if occurrence.overlap == "skip" and now - occurrence.at > MISSED_AFTER:
            return POLL_INTERVAL if any(was_under_way(job, occurrence.at) for job in jobs) else None
        return YIELD_TIME if occurrence.overlap == "queue" and self._is_ahead(entry, occurrence, jobs) else None

    def _warn(self, entry: ScheduleEntry, tick: datetime, now: datetime) -> None:
        """Log once that clocks differ."""
        if tick - now > CLOCK_DIFFERENCE and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "Schedule %r: a scheduler has fired the tick of %s, %.0f s early: its clock is ahead, or the one here "
                "is behind",
                *(entry.name, tick, (tick - now).total_seconds()),
            )

    def _is_ahead(self, entry: ScheduleEntry, occurrence: Occurrence, jobs: Sequence[JobSummary]) -> bool:
        """Return whether ticks from before the start of this scheduler have no job yet.

        These ticks may wait in another scheduler. It is given time to fire the first of them, so the second call
        returns ``False``.
        """
        last = max(filter(None, map(tick_of, jobs)), default=None)
        following = entry.trigger.next_after(last) if last and self._began else None
        if not (self._began and following and following < min(occurrence.at, self._began)):
            return False
        has_yielded = self._yielded_after.get(entry.name) == last
        self._yielded_after[entry.name] = last
        return not has_yielded


def _log_left_out(occurrence: Occurrence) -> None:
    logger.info(
        "Schedule %r: the tick of %s is skipped: an earlier job had not ended", occurrence.name, occurrence.label
    )
    announce_skipped(occurrence.name, occurrence.at, "overlap")
