"""The questions about jobs that a queue answers. None of them changes a job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from ..core.compat import TaskResultStatus
from ..core.job import Job, JobCall, JobSummary
from ..core.validation import did_you_mean
from .claim import Claim, declared_limits
from .records.limits import Limiting
from .workers import WorkerRegistry


class Which(TypedDict, total=False):
    """The arguments of ``Queue.list``; by default the 100 newest jobs of all."""

    status: TaskResultStatus | str | None
    queue_name: str | None
    before: str | None
    limit: int


def status_of(status: TaskResultStatus | str | None) -> TaskResultStatus | None:
    """Return a status that may have been given as text. Raises ``ValueError`` for any other text."""
    try:
        return None if status is None else TaskResultStatus(status)
    except ValueError:
        raise ValueError(f"{status!r} is not a status.{did_you_mean(str(status), TaskResultStatus.values)}") from None


class JobLookups(Limiting, WorkerRegistry, ABC):
    """The methods of a queue that look jobs up."""

    @abstractmethod
    def get(self, job_id: str) -> Job | None:
        """Return a job, finished or not; ``None`` if it does not exist, or has been pruned."""

    def get_many(self, ids: Sequence[str]) -> Sequence[Job]:
        """Return the stored jobs with these ids, in any order, in as few round trips as the queue can."""
        return [job for job_id in ids if (job := self.get(job_id)) is not None]

    def logs(self, ids: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        """Return the kept logs of jobs by their ids; jobs without one are left out. A line is the log of one run.

        ``finish`` and ``exchange`` append each ``Outcome.log`` that they accept, and the last ``LOGS_KEPT`` stay as
        long as the job. No other method reads them, as they may be large. By default none are kept.
        """
        return {}

    @abstractmethod
    def series(self, name: str, limit: int = 100) -> list[JobSummary]:
        """Return up to ``limit`` jobs whose ``series`` is ``name``, finished or not, the newest first.

        Must take one round trip, and read neither other jobs nor the return values of these: schedulers call it every
        second, on queues of any length.
        """

    def each_series(self, names: Sequence[str], limit: int = 100) -> dict[str, Sequence[JobSummary]]:
        """Return ``series`` for each of ``names``, in as few round trips as the queue can."""
        return {name: self.series(name, limit) for name in names}

    @abstractmethod
    def list(self, **which: Unpack[Which]) -> list[Job]:
        """Return up to ``limit`` jobs, the newest first: by ``id``, descending.

        Only jobs with ``status`` (``FAILED`` or ``"FAILED"``), in the queue ``queue_name``, and with an id below
        ``before``, if these are given. If there are fewer than ``limit``, no more jobs follow. Raises ``ValueError``
        for a text that is not a status.
        """

    def list_calls(self, **which: Unpack[Which]) -> Sequence[Job | JobCall]:
        """Return the jobs that ``list`` returns, or only their calls, if reading less costs the queue less."""
        return self.list(**which)

    def holders(self, keys: Collection[str]) -> Mapping[str, Job]:  # noqa: ARG002
        """Return the jobs that hold unique ``keys`` (``core.uniqueness``), by key. By default there are none."""
        return {}

    def lost(self, jobs: Sequence[Job]) -> set[str]:
        """Return the ids of the fetched ``jobs`` that their worker no longer holds. Changes nothing."""
        return {job.id for job in jobs if (stored := self.get(job.id)) is None or stored.token != job.token}

    @abstractmethod
    def counts(self, limit: int | None = None) -> dict[tuple[str, TaskResultStatus], int]:
        """Return how many jobs there are per queue name and status.

        With ``limit`` no number is higher than that, so that the queue can stop counting there; a page shows it as
        "1,000+". Without it, counting millions of jobs may take a second.
        """

    def suspects(self, claim: Claim) -> int:  # noqa: ARG002
        """Return how many suspects (``Job.is_suspect``) of the queues and tags of ``claim`` are due.

        Must cost next to nothing while there are none. A queue that does not distinguish suspects returns 0, which is
        the default: its workers run them together with other jobs.
        """
        return 0

    @abstractmethod
    def oldest_due(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return when the job that is due longest became due, without limited jobs; ``None`` if no job is due."""

    def oldest_waiting(self, queues: tuple[str, ...] | None = None) -> datetime | None:
        """Return when the job that waits longest became due: as ``oldest_due``, with limited jobs that nobody takes.

        Nobody takes the jobs of a queue that no living worker serves. Other limited jobs may wait for their limits.
        """
        due = self.oldest_due(queues)
        if not declared_limits():
            return due
        workers = [worker for worker in self.workers() if worker.takes_jobs]
        if any(worker.queues is None for worker in workers):
            return due
        names = {name for name, _ in self.counts(1)} if queues is None else queues
        left = tuple(name for name in names if not any(worker.serves(name) for worker in workers))
        limited = self.oldest_limited(left) if left else None
        return min(filter(None, (due, limited)), default=None)
