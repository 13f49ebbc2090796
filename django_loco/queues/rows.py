"""A job as a row: text, numbers and ``None``, the form in which it is stored outside a process.

Times are UTC and always carry six decimals, so that their texts sort as the times do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from ..compat import TaskError, TaskResultStatus
from ..job import Job

Row = tuple[Any, ...]

#: How many attempts a stored job can have had; a text that somebody has edited must not fill the memory.
MAX_ATTEMPTS = 10_000_000

#: What each place of a row holds: the fields of ``Job`` under their own names.
COLUMNS = (
    "id",
    "backend",
    "task_path",
    "arguments",
    "queue_name",
    "priority",
    "is_async",
    "run_after",
    "enqueued_at",
    "tags",
    "options",
    "key",
    "status",
    "started_at",
    "last_attempted_at",
    "finished_at",
    "worker_ids",
    "errors",
    "lost",
    "return_value",
    "token",
    "worker_id",
    "checkpoint",
)
TIMES = frozenset({"run_after", "enqueued_at", "started_at", "last_attempted_at", "finished_at"})

_statuses = {status.value: status for status in TaskResultStatus}


def row_of(job: Job) -> Row:
    """Return ``job`` as a row."""
    return (
        job.id,
        job.backend,
        job.task_path,
        job.arguments,
        job.queue_name,
        job.priority,
        job.is_async,
        text_of_time(job.run_after),
        stored_time(job.enqueued_at),
        text_of_tags(job.tags),
        text_of_options(job.options),
        job.key,
        job.status.value,
        text_of_time(job.started_at),
        text_of_time(job.last_attempted_at),
        text_of_time(job.finished_at),
        text_of_workers(job.worker_ids),
        text_of_errors(job.errors),
        job.lost,
        job.return_value,
        job.token,
        job.worker_id,
        job.checkpoint,
    )


def job_of(row: Sequence[Any]) -> Job:
    """Return the job that ``row`` holds. Times may be texts or naive UTC datetimes, the id a UUID."""
    return Job(
        id=row[0] if isinstance(row[0], str) else row[0].hex,
        backend=row[1],
        task_path=row[2],
        arguments=row[3],
        queue_name=row[4],
        priority=row[5],
        is_async=bool(row[6]),
        run_after=time_of(row[7]),
        enqueued_at=time_of(row[8]),  # type: ignore[arg-type]
        tags=() if row[9] == "[]" else tuple(json.loads(row[9])),
        options={} if row[10] == "{}" else json.loads(row[10]),
        key=row[11],
        status=_statuses[row[12]],
        started_at=time_of(row[13]),
        last_attempted_at=time_of(row[14]),
        finished_at=time_of(row[15]),
        worker_ids=() if row[16] == "[]" else unfolded(json.loads(row[16])),
        errors=() if row[17] == "[]" else tuple(TaskError(**error) for error in json.loads(row[17])),
        lost=row[18],
        return_value=row[19],
        token=row[20],
        worker_id=row[21],
        checkpoint=row[22],
    )


def stored_time(moment: datetime) -> str:
    """Return ``2026-11-21 05:42:00.000000``, in UTC: what Django writes to SQLite, but never without decimals."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def text_of_time(moment: datetime | None) -> str | None:
    """Return ``stored_time``, or ``None`` for none."""
    return None if moment is None else stored_time(moment)


def time_of(stored: str | datetime | None) -> datetime | None:
    """Return what ``text_of_time`` was given, or what a database made of it."""
    if stored is None:
        return None
    return (datetime.fromisoformat(stored) if isinstance(stored, str) else stored).replace(tzinfo=UTC)


def text_of_workers(worker_ids: Sequence[str]) -> str:
    """Return worker ids as JSON text."""
    return json.dumps(folded(worker_ids)) if worker_ids else "[]"


def folded(worker_ids: Sequence[str]) -> list[str | int]:
    """Return worker ids as they are stored: in place of empty ones in a row, how many there are."""
    if "" not in worker_ids:
        return list(worker_ids)
    groups = [(worker_id, [*group]) for worker_id, group in groupby(worker_ids)]
    return [item for worker_id, group in groups for item in (group if worker_id else (len(group),))]


def unfolded(items: Sequence[str | int]) -> tuple[str, ...]:
    """Return the worker ids that ``folded`` was given. Raises ``ValueError`` for a number that cannot be ours."""
    if all(type(item) is str for item in items):
        return tuple(items)  # type: ignore[arg-type]
    if odd := [item for item in items if isinstance(item, int) and not 0 < item <= MAX_ATTEMPTS]:
        raise ValueError(f"{odd[0]} attempts")
    return tuple(word for item in items for word in (("",) * item if isinstance(item, int) else (item,)))


def text_of_tags(tags: Sequence[str]) -> str:
    """Return tags as JSON text, a line each, so that ``needle_of_tag`` finds one in it and nothing else."""
    return json.dumps(tags, indent=0) if tags else "[]"


def needle_of_tag(tag: str) -> str:
    """Return what the text of tags contains exactly if ``tag`` is among them.

    JSON text has a bare line break only where we put one: before the quote that opens a tag. From there on the
    text cannot agree with the needle and be another tag.
    """
    return f"\n{json.dumps(tag)}"


def text_of_options(options: Mapping[str, Any]) -> str:
    """Return the options of a call as JSON text."""
    return json.dumps(dict(options)) if options else "{}"


def text_of_errors(errors: Sequence[TaskError]) -> str:
    """Return the errors of a job's attempts as JSON text."""
    if not errors:
        return "[]"
    return json.dumps(
        [{"exception_class_path": error.exception_class_path, "traceback": error.traceback} for error in errors]
    )
