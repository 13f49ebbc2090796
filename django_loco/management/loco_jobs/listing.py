"""Prints stored jobs for ``loco_jobs``: lists as a table, JSON lines or CSV; one job in full; and the counts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeAlias

from django.utils import timezone

from ... import jobs
from ...core.job import FOREVER, Job, utcnow
from ...jobs.presentation.age import age
from ...jobs.presentation.known_names import unknown_names
from ...jobs.presentation.logs import logs_of
from ...jobs.presentation.rates import NONE
from ...jobs.presentation.shown import shown_traceback
from ...log.plain_text import one_line, plain
from ..schedules import clock, table

HEADINGS = ("ID", "STATE", "TASK", "QUEUE", "ENQUEUED", "ATTEMPT", "ERROR")
STATS_HEADINGS = (
    *("BACKEND", "QUEUE", "READY", "RUNNING", "FAILED", "DONE"),
    *("IN/MIN", "OUT/MIN", "FAILED 1 H", "OLDEST DUE", ""),
)
#: The fields of a job in a row of CSV. Fields that are not text are JSON.
CSV_FIELDS = (
    "id",
    "state",
    "task",
    "backend",
    "queue",
    "priority",
    "tags",
    "args",
    "kwargs",
    "enqueued_at",
    "run_after",
    "started_at",
    "finished_at",
    "attempt",
    "worker",
)
#: The fields of a queue in a row of CSV.
STATS_FIELDS = (
    *("backend", "queue", "ready", "running", "failed", "done", "oldest_due_age", "is_paused"),
    *("enqueued_per_minute", "ended_per_minute", "failed_last_hour"),
)
#: The rates of queues, by alias and name.
Rates: TypeAlias = Mapping[tuple[str, str], jobs.QueueRates]
#: The parts of a job that ``show`` prints below all others.
_BELOW = ("errors",)


def as_list(found: jobs.Search, form: str) -> Iterator[str]:
    """Yield the lines of ``loco_jobs list``: a table, a JSON object per line, or CSV."""
    now = utcnow()
    if form == "json":
        for job in found:
            yield json.dumps(jobs.shown_job(job, now), default=_text)
    elif form == "csv":
        yield _csv(CSV_FIELDS)
        for job in found:
            shown = jobs.shown_job(job, now)
            yield _csv([_cell(shown[name]) for name in CSV_FIELDS])
    else:
        rows = [_row(job, now) for job in found]
        yield from table([HEADINGS, *rows]) if rows else ["No job matches.", *unknown_names(found.condition)]


def as_report(job: Job, form: str) -> Iterator[str]:
    """Yield the lines of ``loco_jobs show``."""
    shown, logs = jobs.shown_job(job, utcnow()), logs_of(job)
    if form == "json":
        yield json.dumps({**shown, "log": [asdict(run) for run in logs]}, indent=2, default=_text)
        return
    width = max(map(len, shown))
    for name, value in shown.items():
        if name not in _BELOW and value not in (None, [], {}, ""):
            yield f"{name:<{width}}  {one_line(_cell(value))}"
    for number, error in enumerate(shown["errors"], 1):
        yield f"\nError {number} of {len(shown['errors'])}: {one_line(error['class'])}"
        yield plain(shown_traceback(error["traceback"]).rstrip())
    for run in logs:
        yield f"\nLog of {run.title}"
        yield run.shown


def as_reasons(reasons: Sequence[jobs.Reason], form: str) -> Iterator[str]:
    """Yield the lines of ``loco_jobs why``."""
    if form == "json":
        rows = [{"code": reason.code, "text": reason.text, "remedy": reason.remedy} for reason in reasons]
        yield json.dumps(rows, indent=2)
        return
    for reason in reasons:
        yield plain(reason.text)
        if reason.remedy:
            yield f"    {plain(reason.remedy)}"


def as_stats(stats: Sequence[jobs.QueueStats], rates: Rates, form: str) -> Iterator[str]:
    """Yield the lines of ``loco_jobs stats``."""
    if form == "json":
        yield json.dumps([_numbers(each, rates) for each in stats], indent=2)
    elif form == "csv":
        rows = [_numbers(each, rates) for each in stats]
        yield _csv(STATS_FIELDS)
        yield from (_csv([_cell(row[name]) for name in STATS_FIELDS]) for row in rows)
    elif stats:
        yield from table([STATS_HEADINGS, *(stats_row(each, rates) for each in stats)])
    else:
        yield "There are no jobs."


def rates_of(stats: jobs.QueueStats, rates: Rates) -> jobs.QueueRates:
    """Return the rates of the queue of ``stats``."""
    return rates.get((stats.backend, stats.queue), NONE)


def _row(job: Job, now: datetime) -> Sequence[str]:
    error = job.errors[-1].exception_class_path.rpartition(".")[2] if job.errors else "-"
    waits = job.run_after is not None and now < job.run_after < FOREVER
    state = jobs.state_of(job, now)
    shown = f"{state}, in {age((job.run_after - now).total_seconds())}" if waits and job.run_after else state
    return (
        job.id,
        shown,
        job.task_path,
        job.queue_name,
        clock(timezone.localtime(job.enqueued_at)),
        f"{job.attempt}",
        error,
    )


def stats_row(stats: jobs.QueueStats, rates: Rates) -> Sequence[str]:
    """Return the cells of a queue under ``STATS_HEADINGS``."""
    own = rates_of(stats, rates)
    oldest = "-" if stats.oldest_due_age is None else age(stats.oldest_due_age)
    numbers = [count.text for count in (stats.ready, stats.running, stats.failed, stats.done)]
    moved = (f"{own.enqueued_per_minute:,.1f}", f"{own.ended_per_minute:,.1f}", f"{own.failed_last_hour:,}")
    return stats.backend, stats.queue, *numbers, *moved, oldest, "paused" if stats.is_paused else ""


def _numbers(stats: jobs.QueueStats, rates: Rates) -> Mapping[str, Any]:
    counts = {name: int(getattr(stats, name)) for name in ("ready", "running", "failed", "done")}
    others = {"oldest_due_age": stats.oldest_due_age, "is_paused": stats.is_paused}
    return {"backend": stats.backend, "queue": stats.queue, **counts, **others, **asdict(rates_of(stats, rates))}


def _csv(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case datetime():
            return clock(timezone.localtime(value))
    return json.dumps(value, ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
