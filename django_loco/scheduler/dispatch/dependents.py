"""Fires the schedules that run after others, ``after="nightly"``.

Once a second every scheduler reads the newest jobs of each schedule that others run after (its *upstream*). For each
job that has newly succeeded, it fires the schedules that run after the upstream. The key of the new job is made of the
name of its own schedule and the suffix of the upstream job's key. So each run of the upstream is followed by one job of
each dependent schedule, however many schedulers poll and however often. The same holds for manual runs and for runs on
start.

Jobs that have ended before
---------------------------
A scheduler that starts, or was held up for a while, finds jobs that have ended meanwhile. They count as missed, and
``misfire`` and ``grace`` apply to the time when they ended. The same holds for jobs that are new in the store but have
ended long ago, because they were imported. Jobs are not followed if they ended while the dependent schedule was paused,
or before it was added or changed.

Jobs that are retried
---------------------
A failed job may still succeed if somebody retries it. Most polls read only a few jobs. So while there are failed jobs
beyond these, one poll in thirty reads the greatest number of jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from ...core.compat import TaskResultStatus
from ...core.job import CANCELLED, FAILED, SUCCESSFUL, JobSummary
from ...exceptions import QueueError
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ..dependencies import Dependency
from ..entry import Occurrence, ScheduleEntry
from ..job_lookup import jobs_of, key_suffix
from ..misfire import MISSED_AFTER
from .announcements import announce_skipped
from .queue_backoff import QueueBackoffs

logger = get_logger("django_loco.scheduler")

#: Called with a schedule's name, the moment when a run was due, and the present time. Returns whether the run is
#: skipped because of a pause; ``None`` if this is not known yet.
WasPaused = Callable[[str, datetime, datetime], bool | None]
#: Fires an occurrence of a schedule from the given moment on. The schedule's jobs may be in another store.
Follow = Callable[[ScheduleEntry, Occurrence, datetime], None]

#: How often the jobs of each upstream schedule are read.
POLL_INTERVAL = timedelta(seconds=1)
#: The least and the greatest number of newest jobs that one poll reads.
MIN_JOBS, MAX_JOBS = 20, 1000
#: If failed jobs are too far down for other polls, one poll in this many reads the greatest number of jobs.
LOOK_BACK_POLLS = 30
#: The time that polls may take in a row, and the pause after them, which leaves time for ticks.
POLL_BUDGET_SECONDS, POLL_REST = 0.1, timedelta(seconds=0.4)


class _Ended(NamedTuple):
    """Jobs that have ended since the last poll, in the order in which they ended."""

    new: Sequence[JobSummary]
    old: Sequence[JobSummary]
    """The jobs that had ended long before, or before the first poll."""


@dataclass(slots=True)
class _Upstream:
    """The known jobs of a schedule that others run after."""

    dependency: Dependency
    polled_at: datetime | None = None
    """When the jobs were last read; ``None`` if never."""

    polls: int = 0
    """How often the jobs were read."""

    limit: int = MAX_JOBS
    """The number of jobs to read: enough to include all unfinished jobs."""

    open: set[str] = field(default_factory=set)
    """The ids of the jobs that had not ended."""

    failed: set[str] = field(default_factory=set)
    """The ids of the jobs that had failed. They may be retried."""

    settled: dict[str, TaskResultStatus] = field(default_factory=dict)
    """The status of the jobs that have ended, by id."""

    def newly_ended(self, jobs: Sequence[JobSummary], now: datetime, was_paused: WasPaused) -> _Ended:
        """Remember ``jobs``, sorted with the newest first. Return the jobs that have ended since the last call.

        A job counts as ended once it is known whether the schedules that run after it were paused at its end.
        """
        names = [then.name for then in self.dependency.then]
        known = self.settled.keys() | self.open
        is_incomplete = len(jobs) == self.limit and jobs[-1].id not in known
        ended = [
            job
            for job in jobs
            if job.status in (SUCCESSFUL, FAILED)
            and not any(was_paused(name, _ended_at(job), now) is None for name in names)
        ]
        new = sorted((job for job in ended if self.settled.get(job.id) != job.status), key=_order)
        self.settled |= {job.id: job.status for job in new}
        if len(self.settled) > 2 * MAX_JOBS:
            self.settled = dict(sorted(self.settled.items())[-MAX_JOBS:])
        self._choose_limit(jobs, {job.id for job in ended}, is_incomplete=is_incomplete)
        old = {job.id for job in new if job.id not in known and self._is_old(job, now)}
        return _Ended([job for job in new if job.id not in old], [job for job in new if job.id in old])

    def _is_old(self, job: JobSummary, now: datetime) -> bool:
        """Return whether ``job``, which is read for the first time, had ended long before the last poll.

        The clock of its worker may be slow, so it must have been enqueued long before, too.
        """
        if self.polled_at is None:
            return True
        return max(_ended_at(job), job.enqueued_at) < min(self.polled_at, now) - MISSED_AFTER

    def _choose_limit(self, jobs: Sequence[JobSummary], ended: Collection[str], *, is_incomplete: bool) -> None:
        """Choose how many jobs to read next time.

        It is the greatest number if the oldest job that was read is new (``is_incomplete``: there may be older new
        jobs), or if a known unfinished job was not among the jobs that were read. Now and then it is also the greatest
        number if a known failed job was not among them.
        """
        oldest = jobs[-1].id if len(jobs) == self.limit < MAX_JOBS else ""
        unread = {job_id for job_id in self.open if job_id < oldest}
        unread_failed = {job_id for job_id in self.failed if job_id < oldest}
        self.open = unread | {job.id for job in jobs if job.id not in ended}
        self.failed = unread_failed | {job.id for job in jobs if job.status == FAILED}
        self.polls += 1
        if is_incomplete or unread or (unread_failed and self.polls % LOOK_BACK_POLLS == 0):
            self.limit = MAX_JOBS
        else:
            last = max((number for number, job in enumerate(jobs, 1) if job.id in self.open), default=0)
            self.limit = min(max(2 * last, MIN_JOBS), MAX_JOBS)


class Dependents:
    """Watches the schedules that others run after, and calls ``follow`` for the dependent schedules.

    1. ``watch`` sets the dependencies; the known jobs of schedules that stay are kept.
    2. ``poll`` reads the jobs of the upstream schedules that are due for a poll.

    For one thread.
    """

    def __init__(self, backoffs: QueueBackoffs, follow: Follow) -> None:
        self._backoffs = backoffs
        self._follow = follow
        self._upstreams: dict[str, _Upstream] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._paused_until: datetime | None = None

    @property
    def next_at(self) -> datetime | None:
        """When to poll next; ``None`` if there is nothing to watch."""
        return max(filter(None, (self._heap[0][0], self._paused_until))) if self._heap else None

    def watch(self, dependencies: Collection[Dependency], now: datetime) -> None:
        """Watch the upstream schedules of ``dependencies`` from now on, instead of those watched before."""
        for name in set(self._upstreams) - {dependency.first.name for dependency in dependencies}:
            del self._upstreams[name]
        for dependency in dependencies:
            self._upstreams.setdefault(dependency.first.name, _Upstream(dependency)).dependency = dependency
        self.retry_now(now)

    def retry_now(self, now: datetime) -> None:
        """Poll all schedules at ``now``, because the clock was put back."""
        self._paused_until = None
        self._heap = [(now, name) for name in self._upstreams]
        heapify(self._heap)

    def poll(self, now: datetime, was_paused: WasPaused) -> None:
        """Read the jobs of the upstream schedules that are due for a poll."""
        deadline = time.monotonic() + POLL_BUDGET_SECONDS
        while (next_at := self.next_at) and next_at <= now:
            _, name = heappop(self._heap)
            if until := self._poll_one(self._upstreams[name], now, was_paused):
                heappush(self._heap, (until, name))
            if time.monotonic() > deadline:
                self._paused_until = now + POLL_REST

    def _poll_one(self, upstream: _Upstream, now: datetime, was_paused: WasPaused) -> datetime | None:
        """Read the jobs of one schedule, and return when to read them again; ``None`` means never."""
        first = upstream.dependency.first
        if until := self._backoffs.wait_until(first.task.backend, now):
            return until
        try:
            ended = upstream.newly_ended(jobs_of(first, upstream.limit), now, was_paused)
            self._note(upstream, ended, now, was_paused)
        except QueueError as error:
            return self._backoffs.failed(first.task.backend, error, now)
        except Exception:
            # An error of one schedule must not affect the others.
            logger.exception("Schedule %r: its jobs cannot be read, so schedules that run after it are off", first.name)
            return None
        self._backoffs.answered(first.task.backend)
        return now + POLL_INTERVAL

    def _note(self, upstream: _Upstream, ended: _Ended, now: datetime, was_paused: WasPaused) -> None:
        before, upstream.polled_at = upstream.polled_at, now
        was_held_up = before is not None and now - before > MISSED_AFTER
        done, old = ([job for job in jobs if job.status == SUCCESSFUL] for jobs in ended)
        for then in upstream.dependency.then:
            since = then.has_ticks_since(now)
            due, missed = (
                [job for job in jobs if not was_paused(then.name, _ended_at(job), now)]
                for jobs in (done, [job for job in old if since is None or _ended_at(job) >= since])
            )
            if was_held_up:
                due = then.misfire.missed_runs(due, _ended_at, now, starts=False)
            else:
                for _ in range(len(done) - len(due)):
                    announce_skipped(then.name, now, "paused")
            for job in (*then.misfire.missed_runs(missed, _ended_at, now, starts=True), *due):
                self._follow(then, then.occurrence_after(key_suffix(job), now), now)
        for job in ended.new:
            if job.status == FAILED:
                _log_failed(upstream.dependency, job)


def _ended_at(job: JobSummary) -> datetime:
    return job.finished_at or job.enqueued_at


def _order(job: JobSummary) -> tuple[datetime, str]:
    return _ended_at(job), job.id


def _log_failed(dependency: Dependency, job: JobSummary) -> None:
    what = "was cancelled, or moved to another store" if job.error == CANCELLED else "has failed"
    for then in dependency.then:
        logger.warning(
            "Schedule %r does not run after %r of %s: its job %s %s",
            *(then.name, dependency.first.name, one_line(key_suffix(job)), job.id, what),
        )
