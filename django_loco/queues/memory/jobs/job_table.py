"""The jobs of the queue in memory: waiting, held and finished ones."""

from __future__ import annotations

import itertools
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import nlargest
from operator import attrgetter
from typing import NamedTuple

from ....core.compat import TaskResultStatus
from ....core.job import READY, RUNNING, Job, Outcome, written_by_run
from ...rows import appended_log
from ..records.batches import BatchTable
from .series import Series
from .unique_keys import UniqueKeys
from .waiting import WaitingJobs


class Hold(NamedTuple):
    """A job and the end of its lease on the monotonic clock, in seconds."""

    job: Job
    until: float


class JobTable:
    """A plain data structure, for one thread at a time. Each job is in one of its three parts.

    1. ``waiting`` has the jobs that are ``READY``, ``held`` the jobs that are ``RUNNING``, ``finished`` all others.
    2. The queue moves them. ``remove`` and the methods that are named after a part keep the series up to date.
    """

    def __init__(self, max_finished: int | None, batches: BatchTable) -> None:
        """``max_finished``: how many finished jobs are kept; ``None``: no limit. ``batches`` count their members."""
        self.waiting = WaitingJobs()
        self.held: dict[str, Hold] = {}
        self.finished: OrderedDict[str, Job] = OrderedDict()
        self.series, self.unique = Series(), UniqueKeys(self.get)
        self.logs: dict[str, str] = {}
        """The kept logs of jobs, see ``Queue.logs``."""
        self._max_finished, self._batches = max_finished, batches

    def get(self, job_id: str) -> Job | None:
        """Return a job."""
        hold = self.held.get(job_id)
        return hold.job if hold else self.finished.get(job_id) or self.waiting.get(job_id)

    def is_held(self, job: Job) -> bool:
        """Return whether ``job`` is held with its token."""
        hold = self.held.get(job.id)
        return hold is not None and hold.job.token == job.token

    def is_unchanged(self, job: Job) -> bool:
        """Return whether ``job`` is not held, and is as it was read."""
        return job.id not in self.held and self.get(job.id) == job

    def newest(
        self, status: TaskResultStatus | None, queue_name: str | None, before: str | None, limit: int
    ) -> list[Job]:
        """Return jobs, the newest first; see ``Queue.list``."""
        jobs = (job for job_id in self._ids(status) if (job := self.get(job_id)))
        found = (job for job in jobs if queue_name in (None, job.queue_name) and (before is None or job.id < before))
        return nlargest(limit, found, key=attrgetter("id"))

    def counts(self) -> Counter[tuple[str, TaskResultStatus]]:
        """Return the number of jobs per queue name and status."""
        others = itertools.chain((hold.job for hold in self.held.values()), self.finished.values())
        counts = Counter((job.queue_name, job.status) for job in others)
        counts.update({(name, READY): number for name, number in self.waiting.counts().items()})
        return counts

    def running(self) -> Counter[str]:
        """Return the number of running jobs by limit key."""
        return Counter(hold.job.limit_key for hold in self.held.values() if hold.job.limit_key is not None)

    def hold(self, job: Job, lease: float) -> None:
        """Add a job that is held for ``lease`` seconds."""
        self.held[job.id] = Hold(job, time.monotonic() + lease)
        self.series.add(job)
        if not (job.unique_key is job.batch is job.key is None):
            self._note(job)

    def wait(self, job: Job, now: datetime, *, is_due: bool = False) -> bool:
        """Add a job that waits; return whether it is due. With ``is_due`` it is due regardless of the clock."""
        self.series.add(job)
        if not (job.unique_key is job.batch is job.key is None):
            self._note(job)
        return self.waiting.add(job, now, is_due=is_due)

    def finish(self, jobs: Iterable[Job]) -> None:
        """Add jobs that have finished, and delete the oldest if there are too many."""
        for job in jobs:
            self.finished[job.id] = job
            self.series.add(job)
            if not (job.unique_key is job.batch is job.key is None):
                self._note(job)
        if self._max_finished is not None and len(self.finished) > self._max_finished:
            self._forget_oldest(self._max_finished + self._batches.kept())

    def _forget_oldest(self, most: int) -> None:
        while len(self.finished) > most:
            oldest = next(iter(self.finished.values()))
            if self._batches.is_kept(oldest):
                self.finished.move_to_end(oldest.id)
            else:
                self.forget(self.finished.pop(oldest.id))

    def forget(self, job: Job) -> None:
        """Delete the records about ``job``, which is no longer in any part."""
        self.hand_over(job)
        if job.batch is not None:
            self._batches.note(job, is_gone=True)

    def hand_over(self, job: Job) -> None:
        """Delete the records about ``job``, which is no longer in any part, but goes on in another process."""
        self.series.drop(job)
        self.unique.drop(job)
        self.logs.pop(job.id, None)
        if job.key is not None:
            self._batches.note_follower(job, is_gone=True)

    def remove(self, jobs: Sequence[Job]) -> None:
        """Remove jobs that no worker holds. Their logs stay until ``forget``."""
        self.waiting.remove([job for job in jobs if job.status == READY])
        for job in jobs:
            self.finished.pop(job.id, None)
            self.series.drop(job)
            self.unique.drop(job)  # it may be stored again with another key

    def clear(self) -> None:
        """Remove all."""
        self.waiting.take_all()
        self.waiting.pauses.clear()
        for part in (self.held, self.finished, self.series, self.unique, self.logs, self._batches):
            part.clear()

    def with_written(self, job: Job) -> Job:
        """Return ``job`` with the fields that its run has written so far."""
        hold = self.held.get(job.id)
        if hold is None or (written := written_by_run(hold.job)) == written_by_run(job):
            return job
        return replace(job, **written)

    def with_signals(self, outcome: Outcome) -> Outcome:
        """Return ``outcome``; if it waits, and a signal was sent to the job during the run, as ``woken``."""
        was_sent = outcome.waits and self.held[outcome.job.id].job.signals != outcome.job.signals
        return outcome.woken() if was_sent else outcome

    def ended(self, outcomes: Collection[Outcome]) -> list[Job]:
        """Stop holding the jobs of ``outcomes``; return the jobs as they are after their outcomes."""
        jobs = [replace(outcome, job=self.with_written(outcome.job)).applied() for outcome in outcomes]
        for job in jobs:
            del self.held[job.id]
        for outcome in outcomes:
            if outcome.log is not None:
                self.logs[outcome.job.id] = appended_log(self.logs.get(outcome.job.id), outcome.log)
        return jobs

    def _note(self, job: Job) -> None:
        if job.unique_key is not None:
            self.unique.note(job)
        if job.batch is not None:
            self._batches.note(job)
        if job.key is not None:
            self._batches.note_follower(job)

    def _ids(self, status: TaskResultStatus | None) -> Iterable[str]:
        if status is None:
            return itertools.chain(self.waiting.ids(), self.held, self.finished)
        if status == READY:
            return self.waiting.ids()
        if status == RUNNING:
            return self.held
        return (job.id for job in self.finished.values() if job.status == status)
