"""Postpones jobs whose task this worker does not have: the task was removed, or this code is older or newer.

1. A pool cannot import the task. It puts the job off with ``put_off_unknown``: for a quarter of the time since
   the task was first missing, 15 seconds at least and an hour at most, give or take a quarter of that.
2. The fetcher remembers the path in ``UnknownTaskPaths`` and puts off further jobs of the task itself, many at once.
   Once a minute it logs their number.
3. A job that no worker could run for ``LOCO["UNKNOWN_TASK_TTL"]`` seconds fails with ``UnknownTask``.

The time since which the task is missing is part of the error that is stored with the job. That error disappears when
the job runs, however the run ends: if the task is missing again, the time begins anew.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ...conf import loco_settings
from ...core.compat import TaskError
from ...core.job import Job, Outcome, utcnow
from ...core.job.unknown_task import unknown_since, with_time
from ...log.plain_text import counted, one_line
from ...log.safe import get_logger
from ..claimed_job import ClaimedJob

logger = get_logger("django_loco.worker")

#: A job is offered again after a part of the time for which its task has been missing, within these limits.
SHORTEST_SECONDS, LONGEST_SECONDS, PART = 15.0, 3_600.0, 0.25
#: The largest random share by which this time is longer or shorter, so that jobs put off together do not come back
#: together.
SPREAD = 0.25
#: The time after which a worker tries again to import a task that is missing.
REMEMBERED_SECONDS = 30.0
#: The time between two log lines about a task.
LOG_EVERY_SECONDS = 60.0
#: The number of tasks that a worker remembers.
MAX_REMEMBERED = 1_000
#: The number of jobs that a worker asks for beyond its room while most jobs are put off at once.
MAX_MORE = 1_000


def is_over(job: Job) -> bool:
    """Return whether the task of ``job`` has been missing for longer than ``UNKNOWN_TASK_TTL``."""
    since = unknown_since(job)
    return since is not None and (utcnow() - since).total_seconds() > loco_settings().UNKNOWN_TASK_TTL


def put_off_unknown(job: Job, record: TaskError) -> Outcome:
    """Return the outcome of a job that waits for a worker with its task. ``record``: why it cannot be imported."""
    now = utcnow()
    since = unknown_since(job)
    record = with_time(record, now) if since is None else job.errors[-1]
    seconds = min(max(SHORTEST_SECONDS, PART * (now - (since or now)).total_seconds()), LONGEST_SECONDS)
    seconds *= random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311
    released = Outcome.released(job, run_after=now + timedelta(seconds=seconds), error=record)
    return replace(released, errors_kept=loco_settings().ERRORS_KEPT)


@dataclass(slots=True)
class _MissingTask:
    """A task that cannot be imported."""

    record: TaskError
    until: float
    """The time of the next try."""

    logged_at: float
    """The time of the last log line."""

    count: int = 0
    """The number of jobs that were put off since then."""


class UnknownTaskPaths:
    """The tasks that a worker does not have. Used only by the fetcher's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paths: dict[str, _MissingTask] = {}
        self._more = {False: 0, True: 0}

    def note(self, job: Job, record: TaskError) -> None:
        """Remember that a pool could not import the task of ``job``; ``record`` says why."""
        now, path = self._clock(), job.task_path
        # Without the traceback, because the record may be stored with thousands of jobs.
        reason = record.traceback.strip().rpartition("\n")[2]
        record = replace(record, traceback=f"{reason}\n")
        missing = self._paths.get(path)
        if missing is None:
            if len(self._paths) >= MAX_REMEMBERED:
                self._paths.clear()
            self._paths[path] = _MissingTask(record, now + REMEMBERED_SECONDS, now)
            logger.warning("Jobs of %s wait for a worker that has this task: %s", one_line(path), one_line(reason))
        else:
            missing.record, missing.until = record, now + REMEMBERED_SECONDS
            self._count(path, missing)

    def take(self, claimed_jobs: Sequence[ClaimedJob]) -> list[tuple[ClaimedJob, Outcome]]:
        """Return the jobs in ``claimed_jobs`` that cannot run here, with their outcomes."""
        absent = [claimed for claimed in claimed_jobs if self._has(claimed)] if self._paths else []
        for is_async in (False, True):
            came = sum(claimed.job.is_async is is_async for claimed in claimed_jobs)
            went = sum(claimed.job.is_async is is_async for claimed in absent)
            self._more[is_async] = min(2 * went, MAX_MORE) if 2 * went > came else 0
        return [(claimed, self._put_off(claimed.job)) for claimed in absent]

    def more(self, is_async: bool) -> int:
        """Return how many jobs to claim beyond the room, so that jobs that wait behind those put off are found."""
        return self._more[is_async]

    def _has(self, claimed: ClaimedJob) -> bool:
        missing = self._paths.get(claimed.job.task_path)
        if missing is None or is_over(claimed.job) or claimed.is_too_late:
            return False
        if self._clock() < missing.until:
            return True
        missing.until = self._clock() + REMEMBERED_SECONDS  # this job is the next try
        return False

    def _put_off(self, job: Job) -> Outcome:
        missing = self._paths[job.task_path]
        self._count(job.task_path, missing)
        return put_off_unknown(job, missing.record)

    def _count(self, path: str, missing: _MissingTask) -> None:
        missing.count += 1
        passed = self._clock() - missing.logged_at
        if passed >= LOG_EVERY_SECONDS:
            logger.warning(
                "Jobs of %s wait for a worker that has this task: put off %s in %.0f s",
                one_line(path),
                counted(missing.count, "time", "times"),
                passed,
            )
            missing.logged_at, missing.count = self._clock(), 0
