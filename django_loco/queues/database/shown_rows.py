"""Reads rows as far as possible, even if somebody has edited them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...core.compat import TaskResultStatus
from ...core.job import FAILED, READY, RUNNING, SUCCESSFUL, UNREADABLE, Job, JobCall, JobSummary
from ..claim import Claim
from ..rows import COLUMNS, FIELDS, Row, job_of
from ..rows.forms import STATUSES, id_of, time_of
from ..rows.unreadable import EPOCH, NOT_OURS, record_of

#: The name of the table in the error of a job that cannot be read.
TABLE = "django_loco_job"


def shown_job_of(row: Sequence[Any]) -> Job:
    """Return the job in ``row``, or the part of it that can be read: see ``unreadable``."""
    try:
        return job_of(row)
    except NOT_OURS:
        return _unreadable(row)


def call_of(row: Sequence[Any]) -> JobCall:
    """Return the call in ``row``, which has the columns ``jobs.lookups.CALLED``."""
    task_path, backend, job_id, arguments = row
    is_readable = isinstance(task_path, str) and isinstance(arguments, str)
    return JobCall(
        id=id_of(job_id),
        backend=backend,
        task_path=task_path if is_readable else UNREADABLE,
        arguments=arguments if is_readable else "",
    )


def summary_of(row: Sequence[Any]) -> JobSummary:
    """Return the summary in ``row``, which has the columns ``SUMMARY`` and the class of the last error."""
    job_id, key, status, run_after, enqueued_at, finished_at, error = row
    return JobSummary(
        id=id_of(job_id),
        key=key,
        status=stored_status(status),
        run_after=readable_time(run_after),
        enqueued_at=readable_time(enqueued_at) or EPOCH,
        finished_at=readable_time(finished_at),
        error=error if isinstance(error, str) and status != SUCCESSFUL.value else "",
    )


def _unreadable(row: Sequence[Any]) -> Job:
    fields: dict[str, Any] = {"enqueued_at": EPOCH, "status": FAILED}
    problems = []
    stored = dict(zip(COLUMNS, row, strict=False))
    for name, form in FIELDS.items():
        try:
            fields[name] = form.value(stored[name])
        except NOT_OURS as error:
            problems.append(f"{name}: {type(error).__name__}: {error}")
    where = f"the table {TABLE}, job {stored['id']} of {stored['task_path']}"
    job = Job(**fields | {"id": fields.get("id", str(stored["id"])), "task_path": UNREADABLE})
    if job.status in (READY, RUNNING):
        return replace(job, errors=(*job.errors, record_of(TypeError("; ".join(problems)), where)))
    return job


def readable_time(stored: Any) -> datetime | None:
    """Return ``time_of(stored)``, or ``None`` if it cannot be read."""
    try:
        return time_of(stored)
    except (*NOT_OURS, AttributeError):
        return None


def seconds_between(first: Any, second: Any) -> float:
    """Return the seconds between two stored times; 0 if one of them cannot be read."""
    start, end = readable_time(first), readable_time(second)
    return (end - start).total_seconds() if start and end else 0.0


def stored_status(stored: Any) -> TaskResultStatus:
    """Return a stored status. One that cannot be read counts as ``FAILED``, because such a job is never run."""
    return STATUSES.get(stored, FAILED)


def ids(rows: Iterable[Row]) -> set[str]:
    """Return the job ids in the first column."""
    return {id_of(row[0]) for row in rows}


def in_order(rows: Iterable[Row], claim: Claim) -> list[Job]:
    """Return the jobs in ``rows``, the next to run first. The last column of a row is ``due_at``."""
    jobs = [(shown_job_of(row), readable_time(row[-1])) for row in rows]
    jobs.sort(key=lambda pair: (*claim.rank(pair[0].priority, _order_of(*pair)), pair[0].id))
    return [job for job, _ in jobs]


def _order_of(job: Job, due_at: datetime | None) -> datetime:
    # The ``due_at`` of limited jobs is not the time when they are due: see ``sql.limits``.
    return job.due_at if due_at is None or job.limit_key is not None else due_at


def sums_of(rows: Iterable[Row]) -> dict[tuple[str, TaskResultStatus], int]:
    """Return the sums of ``rows``; each row is a queue name, a status and a number."""
    counts: Counter[tuple[str, TaskResultStatus]] = Counter()
    for queue_name, status, number in rows:
        counts[str(queue_name), stored_status(status)] += number
    return dict(counts)
