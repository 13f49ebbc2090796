"""One screen for ``loco_status``: workers, queues, schedules, recent failures, and what is wrong with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from operator import attrgetter
from typing import Any
from unicodedata import east_asian_width

from django.utils import timezone

from .. import jobs, locks, scheduler
from ..core.job import utcnow
from ..jobs.control.pauses import AliasPause, paused_jobs
from ..jobs.control.workers import workers_and_schedulers
from ..jobs.presentation.age import age
from ..log.plain_text import counted, one_line
from .loco_jobs.limits import LIMIT_HEADINGS, limit_row
from .loco_jobs.listing import STATS_HEADINGS, Rates, rates_of, stats_row
from .schedules import clock, table

#: How old the failures may be that are shown, and how many of the newest failed jobs are searched for them.
RECENT, NEWEST = timedelta(hours=1), 1_000
#: The highest ``max_waiting``. A probe should not count more jobs than this.
MOST_WAITING = 1_000_000
#: This many schedules are shown: those that are due next.
SCHEDULES = 10
LOCK_HEADINGS = ("NAME", "ALIAS", "HOLDER", "JOB", "SINCE", "TOKEN", "WAITING")
PAUSE_HEADINGS = ("ALIAS", "KIND", "NAME")
WORKER_HEADINGS = ("WORKER", "HOST", "PID", "QUEUES", "TAGS", "BUSY", "HEARTBEAT")
SCHEDULER_HEADINGS = ("SCHEDULER", "HOST", "PID", "SCHEDULES", "TAGS", "HEARTBEAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The thresholds that count as wrong; ``None`` or ``False``: no threshold."""

    max_age: float | None = None
    """The longest time in seconds that the oldest due job of a queue may wait. Paused queues do not count."""

    max_waiting: int | None = None
    """The most ready jobs, including deferred ones, that a queue may have; at most ``MOST_WAITING``."""

    require_worker: bool = False
    """Whether each alias needs a worker that is alive."""

    require_scheduler: bool = False
    """Whether a scheduler has to be alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Jobs that failed with one class of error."""

    error: str
    count: int
    newest: str
    """The id of the newest job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of all jobs at one moment."""

    at: datetime
    workers: Sequence[jobs.AliasWorker]
    queues: Sequence[jobs.QueueStats]
    rates: Rates
    failures: Sequence[Failure]
    problems: Sequence[str]
    pauses: Sequence[AliasPause] = ()
    """The tasks and tags that are paused. Paused queues are in ``queues``."""

    limits: Sequence[jobs.LimitState] = ()
    schedulers: Sequence[jobs.AliasWorker] = ()
    schedules: Sequence[scheduler.Upcoming] = ()
    """The schedules that are due next, each with its next run."""

    def as_json(self) -> dict[str, Any]:
        """Return it as values for JSON. Ages are in seconds."""
        queues = [asdict(queue) | asdict(rates_of(queue, self.rates)) for queue in self.queues]
        workers, schedulers = (
            [asdict(worker) | {"is_alive": worker.is_alive} for worker in workers]
            for workers in (self.workers, self.schedulers)
        )
        failures = [asdict(failure) for failure in self.failures]
        return {
            "at": self.at,
            "problems": [*self.problems],
            "workers": workers,
            "schedulers": schedulers,
            "queues": queues,
            "pauses": [asdict(pause) for pause in self.pauses],
            "limits": [asdict(limit) for limit in self.limits],
            "schedules": [schedule._asdict() for schedule in self.schedules],
            "failures": failures,
        }

    def screen(self) -> Iterator[str]:
        """Yield its lines for people."""
        yield from (f"PROBLEM  {problem}" for problem in self.problems)
        if self.problems:
            yield ""
        yield from _part("Workers", WORKER_HEADINGS, map(_worker_row, self.workers), "No worker is registered.")
        yield from _part("Schedulers", SCHEDULER_HEADINGS, map(_scheduler_row, self.schedulers), "None is registered.")
        queues = (stats_row(queue, self.rates) for queue in self.queues)
        yield from _part("Queues", STATS_HEADINGS, queues, "There are no jobs.")
        if self.pauses:
            pauses = ((pause.backend, pause.kind, one_line(pause.name)) for pause in self.pauses)
            yield from _part("Paused tasks and tags", PAUSE_HEADINGS, pauses, "")
        if self.limits:
            yield from _part("Limits", LIMIT_HEADINGS, map(limit_row, self.limits), "")
        rows = ((each.name, each.words, clock(each.next_runs[0])) for each in self.schedules)
        yield from _part("Schedules that are due next", ("NAME", "IN WORDS", "NEXT"), rows, "No schedule is due.")
        failures = ((f"{each.count:,}", each.error, each.newest) for each in self.failures)
        yield from _part(
            "Jobs that failed in the last hour and were not retried since",
            ("JOBS", "ERROR", "NEWEST"),
            failures,
            "None.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLocks:
    """The locks that are held at one moment."""

    at: datetime
    locks: Sequence[locks.HeldLock]
    problems: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {"at": self.at, "locks": [asdict(lock) for lock in self.locks]}

    def screen(self) -> Iterator[str]:
        """Yield its lines for people."""
        rows = (
            (
                lock.name,
                lock.backend,
                lock.holder,
                lock.job or "-",
                clock(timezone.localtime(lock.since)),
                f"{lock.token}",
                f"{lock.waiting}",
            )
            for lock in self.locks
        )
        yield from _part("Locks", LOCK_HEADINGS, rows, "No lock is held.")


def fitting(lines: Sequence[str], size: os.terminal_size) -> list[str]:
    """Return ``lines`` cut to a terminal of ``size``. The last line counts the rest. One row is left for the cursor."""
    height = max(1, size.lines - 1)
    if len(lines) > height:
        rest = counted(len(lines) - height + 1, "more line", "more lines")
        lines = [*lines[: height - 1], f"… {rest}"]
    return [_cut(line, size.columns) for line in lines]


def _cut(line: str, width: int) -> str:
    """Return the start of ``line`` that fits into ``width`` columns. Some East Asian characters take two columns."""
    ends = accumulate(2 if east_asian_width(character) in "WF" else 1 for character in line)
    return line[: sum(end <= width for end in ends)]


def read_locks(backend: str | None = None) -> HeldLocks:
    """Return the locks of ``backend``, an alias in ``TASKS``, or of all. Raises ``QueueUnavailable``."""
    return HeldLocks(at=utcnow(), locks=locks.held(backend=backend))


def read(thresholds: Thresholds, backend: str | None = None) -> Status:
    """Return the present status of ``backend``, an alias in ``TASKS``, or of all. Raises ``QueueUnavailable``."""
    workers, schedulers = workers_and_schedulers(backend)
    queues, now = _queues(thresholds, backend), utcnow()
    return Status(
        at=now,
        workers=workers,
        queues=queues,
        rates=jobs.rates(backend=backend),
        failures=_failures(now, backend),
        problems=[*_problems(thresholds, workers, queues, backend), *_no_scheduler(thresholds, schedulers)],
        pauses=paused_jobs(backend=backend),
        limits=jobs.limits(backend=backend),
        schedulers=schedulers,
        schedules=_schedules(),
    )


def _schedules() -> list[scheduler.Upcoming]:
    """Return the schedules that are due next, the first one first."""
    due = (each for each in scheduler.upcoming() if each.next_runs and not each.paused)
    return sorted(due, key=attrgetter("next_runs"))[:SCHEDULES]


def _queues(thresholds: Thresholds, backend: str | None) -> list[jobs.QueueStats]:
    """Return the numbers of jobs. Jobs are counted beyond the usual cap only if a threshold needs it."""
    queues = jobs.stats(backend=backend, limit=jobs.COUNTED)
    most = (thresholds.max_waiting or 0) + 1
    if most > jobs.COUNTED and any(queue.ready.is_capped for queue in queues):
        return jobs.stats(backend=backend, limit=most)
    return queues


def _failures(now: datetime, backend: str | None) -> list[Failure]:
    """Return the recent failures, the most frequent first."""
    newest: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for job in jobs.filter("status:failed", backend=backend)[:NEWEST]:
        if job.finished_at and job.finished_at > now - RECENT:
            error = job.errors[-1].exception_class_path if job.errors else "unknown"
            newest.setdefault(error, job.id)
            counts[error] += 1
    return [Failure(error=error, count=count, newest=newest[error]) for error, count in counts.most_common()]


def _problems(
    thresholds: Thresholds,
    workers: Sequence[jobs.AliasWorker],
    queues: Sequence[jobs.QueueStats],
    backend: str | None,
) -> Iterator[str]:
    if thresholds.require_worker:
        alive = {worker.backend for worker in workers if worker.is_alive}
        for alias in jobs.aliases() if backend is None else [backend]:
            if alias not in alive:
                yield f"No worker of {alias} is alive."
    for queue in queues:
        yield from _problems_of(queue, thresholds)


def _no_scheduler(thresholds: Thresholds, schedulers: Sequence[jobs.AliasWorker]) -> Iterator[str]:
    if thresholds.require_scheduler and not any(scheduler.is_alive for scheduler in schedulers):
        yield "No scheduler is alive."


def _problems_of(queue: jobs.QueueStats, thresholds: Thresholds) -> Iterator[str]:
    name = f"{queue.backend}/{one_line(queue.queue)}"
    waited = 0.0 if queue.is_paused else queue.oldest_due_age or 0.0
    if thresholds.max_age is not None and waited > thresholds.max_age:
        yield f"{name}: the oldest due job has waited for {age(waited)}, more than {thresholds.max_age:g} s."
    if thresholds.max_waiting is not None and queue.ready > thresholds.max_waiting:
        waiting = counted(queue.ready, "job waits", "jobs wait", text=queue.ready.text)
        yield f"{name}: {waiting}, more than {thresholds.max_waiting:,}."


def _part(title: str, headings: Sequence[str], rows: Any, nothing: str) -> Iterator[str]:
    lines = [*rows]
    yield title
    yield from (f"  {line}" for line in (table([headings, *lines]) if lines else [nothing]))
    yield ""


def _worker_row(worker: jobs.AliasWorker) -> Sequence[str]:
    queues = "all" if worker.queues is None else ", ".join(worker.queues)
    tags = "any" if worker.tags is None else ", ".join(worker.tags) or "none"
    busy = f"{worker.busy} of {worker.threads + worker.coroutines}"
    return worker.worker_id, worker.host, f"{worker.pid}", queues, tags, busy, _heartbeat(worker)


def _scheduler_row(each: jobs.AliasWorker) -> Sequence[str]:
    tags = ", ".join(each.tags or ("any",))
    return each.worker_id, each.host, f"{each.pid}", f"{each.schedules}", tags, _heartbeat(each)


def _heartbeat(worker: jobs.AliasWorker) -> str:
    state = "" if worker.takes_jobs else f", {worker.state}" if worker.is_alive else ", dead"
    return f"{age(worker.heartbeat_age)} ago{state}"
