"""Fires the schedules that run after others, ``after="nightly"``.

Every scheduler looks once a second at the newest jobs of those others. For each that has newly succeeded, the schedules
that run after it get into line to be fired, with a key that is made of their own name and what told that job from the
others of its schedule. So each run of the first schedule is followed by one job, however many schedulers look and
however often; and so are runs by hand, and those of a deploy.

What has ended before
---------------------
What a scheduler finds at its first look, or after it was held up for a while, has ended without it: that was missed,
and ``misfire`` and ``grace`` decide, by when it ended.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from ...core.compat import TaskResultStatus
from ...core.job import FAILED, SUCCESSFUL, JobSummary
from ...exceptions import QueueError
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ..dependencies import Dependency
from ..entry import Entry
from ..jobs import jobs_of, key_suffix
from ..misfire import MISSED_AFTER
from .pending import PendingOccurrences
from .queue_backoff import QueueBackoffs

logger = get_logger("django_loco.scheduler")

#: How often each schedule is looked at that others run after.
POLL_INTERVAL = timedelta(seconds=1)
#: How many of its newest jobs are looked at, at least and at most.
MIN_JOBS, MAX_JOBS = 20, 1000
#: Seconds that looks may take at a time, and how long ticks have their turn after that.
POLL_BUDGET_SECONDS, POLL_REST = 0.1, timedelta(seconds=0.4)


@dataclass(slots=True)
class _Upstream:
    """What is known of the jobs of a schedule that others run after."""

    dependency: Dependency
    looked: datetime | None = None
    """When they were looked at last; ``None``: not yet."""

    reach: int = MAX_JOBS
    """How many are looked at: as many as it takes to see again all that had not ended."""

    open: set[str] = field(default_factory=set)
    """The ids of those that had not ended."""

    settled: dict[str, TaskResultStatus] = field(default_factory=dict)
    """How those have ended that are done with, by id."""

    def newly_ended(self, jobs: Sequence[JobSummary]) -> list[JobSummary]:
        """Take note of ``jobs``, the newest first; return those that have ended since, in the order of their ends."""
        is_short = len(jobs) == self.reach and jobs[-1].id not in self.settled
        ended = [job for job in jobs if job.status in (SUCCESSFUL, FAILED)]
        new = [job for job in ended if self.settled.get(job.id) != job.status]
        self.settled |= {job.id: job.status for job in new}
        if len(self.settled) > 2 * MAX_JOBS:
            self.settled = dict(sorted(self.settled.items())[-MAX_JOBS:])
        self._follow(jobs, {job.id for job in ended}, is_short=is_short)
        return sorted(new, key=lambda job: (job.finished_at or job.enqueued_at, job.id))

    def _follow(self, jobs: Sequence[JobSummary], ended: Collection[str], *, is_short: bool) -> None:
        """Choose how far to look the next time.

        That is further if the oldest was not done with (``is_short``: there may be others beyond it), or something that
        had not ended is out of sight.
        """
        oldest = jobs[-1].id if len(jobs) == self.reach else ""
        out_of_sight = {job_id for job_id in self.open if job_id < oldest}
        self.open = out_of_sight | {job.id for job in jobs if job.id not in ended}
        if is_short or out_of_sight:
            self.reach = min(2 * self.reach, MAX_JOBS)
        else:
            last = max((number for number, job in enumerate(jobs, 1) if job.id in self.open), default=0)
            self.reach = min(max(2 * last, MIN_JOBS), MAX_JOBS)
        if self.reach == MAX_JOBS:
            self.open -= out_of_sight


class Dependents:
    """Looks at schedules that others run after, and lets those others wait for their turn to be fired.

    1. ``watch`` says which they are; what is known of those that stay is kept.
    2. ``look`` looks at those whose time has come.

    Used by one thread.
    """

    def __init__(self, backoffs: QueueBackoffs, waiting: PendingOccurrences) -> None:
        self._backoffs = backoffs
        self._waiting = waiting
        self._upstreams: dict[str, _Upstream] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._rests_until: datetime | None = None

    @property
    def next_at(self) -> datetime | None:
        """When to look next; ``None``: never."""
        return max(filter(None, (self._heap[0][0], self._rests_until))) if self._heap else None

    def watch(self, dependencies: Collection[Dependency], now: datetime) -> None:
        """Look at the first of each of ``dependencies`` from now on."""
        for name in set(self._upstreams) - {dependency.first.name for dependency in dependencies}:
            del self._upstreams[name]
        for dependency in dependencies:
            self._upstreams.setdefault(dependency.first.name, _Upstream(dependency)).dependency = dependency
        self.retry_now(now)

    def forget(self) -> None:
        """Forget what is known of jobs, and look at none."""
        self._upstreams.clear()
        self._heap.clear()

    def retry_now(self, now: datetime) -> None:
        """Look at all: the clock was put back to ``now``, and when to look is not what it was."""
        self._rests_until = None
        self._heap = [(now, name) for name in self._upstreams]
        heapify(self._heap)

    def look(self, now: datetime) -> None:
        """Look where it is time, and see which schedules are to be fired."""
        deadline = time.monotonic() + POLL_BUDGET_SECONDS
        while (next_at := self.next_at) and next_at <= now:
            _, name = heappop(self._heap)
            if until := self._looked(self._upstreams[name], now):
                heappush(self._heap, (until, name))
            if time.monotonic() > deadline:
                self._rests_until = now + POLL_REST

    def _looked(self, upstream: _Upstream, now: datetime) -> datetime | None:
        """Return when to look again; ``None``: never."""
        first = upstream.dependency.first
        if until := self._backoffs.wait_until(first.task.backend, now):
            return until
        try:
            self._note(upstream, upstream.newly_ended(jobs_of(first, upstream.reach)), now)
        except QueueError as error:
            return self._backoffs.note(first.task.backend, error, now)
        except Exception:
            # Whatever is wrong with this one, the others have to run.
            logger.exception("Schedule %r: its jobs cannot be looked at, so what runs after it is off", first.name)
            return None
        self._backoffs.reached(first.task.backend)
        return now + POLL_INTERVAL

    def _note(self, upstream: _Upstream, ended: Sequence[JobSummary], now: datetime) -> None:
        before, upstream.looked = upstream.looked, now
        done = [job for job in ended if job.status == SUCCESSFUL]
        for then in upstream.dependency.then:
            missed = before is None or now - before > MISSED_AFTER
            chosen = then.misfire.missed_runs(done, _ended_at, now, starts=before is None) if missed else done
            for job in chosen:
                self._line_up(then, job, now)
        if before is not None:
            for job in ended:
                if job.status == FAILED:
                    _tell_failed(upstream.dependency, job)

    def _line_up(self, then: Entry, job: JobSummary, now: datetime) -> None:
        occurrence = then.occurrence_after(key_suffix(job), now)
        self._waiting.add(occurrence, now, then.misfire.cap if then.overlap == "queue" else MAX_JOBS)


def _ended_at(job: JobSummary) -> datetime:
    return job.finished_at or job.enqueued_at


def _tell_failed(dependency: Dependency, job: JobSummary) -> None:
    for then in dependency.then:
        logger.warning(
            "Schedule %r does not run after %r of %s: its job %s has failed",
            *(then.name, dependency.first.name, one_line(key_suffix(job)), job.id),
        )
