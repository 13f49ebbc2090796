"""Jobs whose task this worker does not have: because the task was removed, or the worker's code is older or newer.

1. A pool finds out when it cannot import the task. The job is put off with ``put_off``: for a quarter of the time since
   it was first missed, 15 seconds at least and an hour at most, give or take a quarter of that.
2. The fetcher remembers the path in ``Missing`` and puts off further jobs of the task by itself, many at a time. Once a
   minute it logs how many.
3. A job that no worker could run for ``LOCO["UNKNOWN_TASK_TTL"]`` seconds fails with ``UnknownTask``.

When a job was first missed is part of the error that is stored with it. That error goes away when the task has run.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...conf import loco_settings
from ...core.compat import TaskError
from ...core.job import Job, Outcome, utcnow
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues.unreadable import NOT_OURS
from ..claimed_job import ClaimedJob

logger = get_logger("django_loco.worker")

#: Seconds until a job is offered again, at least and at most; in between it is a part of the time since it was missed.
SHORTEST, LONGEST, PART = 15.0, 3_600.0, 0.25
#: How much longer or shorter it may be, so that jobs which were put off together do not come back together.
SPREAD = 0.25
#: Seconds for which a worker does not try to import a task again that it could not.
REMEMBERED = 30.0
#: Seconds between two log lines about a task.
TELL_EVERY = 60.0
#: How many tasks a worker remembers.
MOST = 1_000
#: How many jobs a worker asks for beyond its room while most of what comes is put off at once.
MOST_MORE = 1_000

_SINCE = re.compile(r"^This task has been missing since (\S+)\.$", re.MULTILINE)


def since_of(job: Job) -> datetime | None:
    """Return when ``job`` was first missed; ``None`` if it was not, or has run since."""
    found = _SINCE.search(job.errors[-1].traceback) if job.errors else None
    try:
        since = found and datetime.fromisoformat(found[1])
    except NOT_OURS:
        return None
    return since if since and since.tzinfo else None


def is_over(job: Job) -> bool:
    """Whether the task of ``job`` has been missing for too long."""
    since = since_of(job)
    return since is not None and (utcnow() - since).total_seconds() > loco_settings().UNKNOWN_TASK_TTL


def put_off(job: Job, record: TaskError) -> Outcome:
    """Return the outcome of a job that waits for a worker that has its task. ``record`` says why it cannot be run."""
    now = utcnow()
    since = since_of(job)
    if since is None:
        record = replace(record, traceback=f"{record.traceback}This task has been missing since {now.isoformat()}.\n")
    else:
        record = job.errors[-1]
    seconds = min(max(SHORTEST, PART * (now - (since or now)).total_seconds()), LONGEST)
    seconds *= random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311
    released = Outcome.released(job, run_after=now + timedelta(seconds=seconds), error=record)
    return replace(released, errors_kept=loco_settings().ERRORS_KEPT)


@dataclass(slots=True)
class _Path:
    """What is known of a task that cannot be imported."""

    record: TaskError
    until: float
    """When to try again."""

    told: float
    """When the log was last told."""

    count: int = 0
    """How many jobs were put off since then."""


class MissingTasks:
    """The tasks that a worker does not have. Used by the fetcher's thread alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paths: dict[str, _Path] = {}
        self._more = {False: 0, True: 0}

    def note(self, job: Job, record: TaskError) -> None:
        """Take note that a pool could not import the task of ``job``; ``record`` says why."""
        now, path = self._clock(), job.task_path
        # Without the traceback, of which one is enough: the next may be stored with thousands of jobs.
        reason = record.traceback.strip().rpartition("\n")[2]
        record = replace(record, traceback=f"{reason}\n")
        known = self._paths.get(path)
        if known is None:
            if len(self._paths) >= MOST:
                self._paths.clear()
            self._paths[path] = _Path(record, now + REMEMBERED, now)
            logger.warning("Jobs of %s wait for a worker that has this task: %s", one_line(path), one_line(reason))
        else:
            known.record, known.until = record, now + REMEMBERED
            self._count(path, known)

    def take(self, claimed_jobs: Sequence[ClaimedJob]) -> list[tuple[ClaimedJob, Outcome]]:
        """Return those of ``runs`` that cannot be run here, with their outcomes."""
        absent = [claimed for claimed in claimed_jobs if self._has(claimed.job)] if self._paths else []
        for is_async in (False, True):
            came = sum(claimed.job.is_async is is_async for claimed in claimed_jobs)
            went = sum(claimed.job.is_async is is_async for claimed in absent)
            self._more[is_async] = min(2 * went, MOST_MORE) if 2 * went > came else 0
        return [(claimed, self._put_off(claimed.job)) for claimed in absent]

    def more(self, is_async: bool) -> int:
        """Return how many jobs to ask for beyond the room there is, as others wait behind those that are put off."""
        return self._more[is_async]

    def _has(self, job: Job) -> bool:
        known = self._paths.get(job.task_path)
        if known is None or is_over(job):
            return False
        if self._clock() < known.until:
            return True
        known.until = self._clock() + REMEMBERED  # this one is the trial
        return False

    def _put_off(self, job: Job) -> Outcome:
        known = self._paths[job.task_path]
        self._count(job.task_path, known)
        return put_off(job, known.record)

    def _count(self, path: str, known: _Path) -> None:
        known.count += 1
        passed = self._clock() - known.told
        if passed >= TELL_EVERY:
            logger.warning(
                "Jobs of %s wait for a worker that has this task: put off %d times in %.0f s",
                one_line(path),
                known.count,
                passed,
            )
            known.told, known.count = self._clock(), 0
