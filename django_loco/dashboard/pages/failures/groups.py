"""The jobs that failed in a period, in groups with the same error."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .... import jobs
from ....core.job import Job, utcnow
from ....jobs.page_parts.scope import Scope
from ....jobs.presentation.shown import message_of
from ...recent import Recent
from .messages import normalized

#: This many of the newest failed jobs are read.
WINDOW = 1_000
#: The groups are read once in this many seconds, so that many viewers cost a store no more than one.
SECONDS = 10.0
#: The number of points in the line of a group.
POINTS = 24
PERIODS = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "14d": timedelta(days=14),
}
DEFAULT = "1d"


@dataclass(slots=True, kw_only=True)
class FailureGroup:
    """Failed jobs with the same class of error and, apart from the varying parts, the same message."""

    kind: str
    """The path of the class of the error; empty if a job has none."""

    message: str
    newest: Job
    ids: list[str] = field(default_factory=list)
    tasks: Counter[str] = field(default_factory=Counter)
    times: list[datetime] = field(default_factory=list)
    """When the jobs failed."""

    @property
    def key(self) -> str:
        """Its name in a form."""
        return hashlib.sha256(f"{self.kind}\0{self.message}".encode(errors="replace")).hexdigest()[:16]

    def points(self, start: datetime, end: datetime) -> list[int]:
        """Return how many of the jobs have failed in each of ``POINTS`` parts of the time from ``start`` to ``end``."""
        found = Counter(int((at - start) / (end - start) * POINTS) for at in self.times)
        return [found[place] for place in range(POINTS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The groups of a period, the largest first."""

    period: str
    groups: Sequence[FailureGroup]
    start: datetime
    end: datetime
    reached_window: bool
    """Whether there are more failed jobs that were not read."""


_recent: Recent[Failures] = Recent(of_jobs=True)


def failures_in(period: str, scope: Scope) -> Failures:
    """Return the groups of ``scope``'s jobs that failed in ``period``, as they were up to ``SECONDS`` ago.

    Raises ``QueueUnavailable`` and ``LocoConfigurationError``.
    """
    aliases = tuple(jobs.aliases())
    return _recent.get((period, aliases, str(scope)), SECONDS, lambda: read(period, scope))


def read(period: str, scope: Scope) -> Failures:
    """Return the present groups. Raises the same errors as ``failures_in``."""
    end = utcnow()
    start = end - PERIODS[period]
    # Jobs outside of the scope count towards the window, unless the store leaves them out.
    window = WINDOW * 10 if scope.is_narrowed else WINDOW
    page = scope.filter("status:failed", window=window).page(WINDOW)
    return Failures(
        period=period,
        groups=grouped(page.jobs, start),
        start=start,
        end=end,
        reached_window=page.next is not None,
    )


def forget() -> None:
    """Make the next call read everything anew."""
    _recent.clear()


def grouped(failed: Iterable[Job], start: datetime) -> list[FailureGroup]:
    """Return groups of the jobs that failed after ``start``, the largest first. ``failed`` has the newest first."""
    groups: dict[tuple[str, str], FailureGroup] = {}
    for job in failed:
        if job.finished_at is None or job.finished_at < start:
            continue
        error = job.errors[-1] if job.errors else None
        kind, message = (error.exception_class_path, normalized(message_of(error))) if error else ("", "")
        group = groups.setdefault((kind, message), FailureGroup(kind=kind, message=message, newest=job))
        group.ids.append(job.id)
        group.tasks[job.task_path] += 1
        group.times.append(job.finished_at)
    return sorted(groups.values(), key=lambda group: (-len(group.ids), -max(group.times).timestamp()))
