"""A job as a row: text, numbers and ``None``, the form in which it is stored outside a process.

Times are UTC and always carry six decimals, so that their texts sort as the times do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from types import NoneType
from typing import Any
from uuid import UUID

from ..core.compat import TaskError, TaskResultStatus
from ..core.job import Job
from .unreadable import texts

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

#: How a database shows a time that Python does not have: PostgreSQL's ``infinity``, or the year 10,000.
BEYOND = datetime.min  # noqa: DTZ901 - as a database without zones gives it

STATUSES = {status.value: status for status in TaskResultStatus}

_TEXT, _TEXT_OR_NONE, _TIME = str, (str, NoneType), (str, datetime)
_TIME_OR_NONE = (*_TIME, NoneType)
#: The types of the values in a row, in the order of ``COLUMNS``.
TYPES: tuple[Any, ...] = (
    *((str, UUID), _TEXT, _TEXT, _TEXT, _TEXT, int, int, _TIME_OR_NONE, _TIME, _TEXT, _TEXT, _TEXT_OR_NONE, _TEXT),
    *(_TIME_OR_NONE, _TIME_OR_NONE, _TIME_OR_NONE, _TEXT, _TEXT, int, *[_TEXT_OR_NONE] * 4),
)


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
    """Return the job that ``row`` holds. Times may be texts or naive UTC datetimes, the id a UUID.

    Raises one of ``unreadable.NOT_OURS`` if ``row`` is not what ``row_of`` makes.
    """
    if not all(map(isinstance, row, TYPES)):
        raise TypeError("a column has a value of another type")
    return Job(
        id=id_of(row[0]),
        backend=row[1],
        task_path=row[2],
        arguments=row[3],
        queue_name=row[4],
        priority=row[5],
        is_async=bool(row[6]),
        run_after=time_of(row[7]),
        enqueued_at=time_of(row[8]),  # type: ignore[arg-type]
        tags=words_of(row[9]),
        options=options_of(row[10]),
        key=row[11],
        status=STATUSES[row[12]],
        started_at=time_of(row[13]),
        last_attempted_at=time_of(row[14]),
        finished_at=time_of(row[15]),
        worker_ids=workers_of(row[16]),
        errors=errors_of(row[17]),
        lost=row[18],
        return_value=row[19],
        token=row[20],
        worker_id=row[21],
        checkpoint=row[22],
    )


def id_of(stored: str | UUID) -> str:
    """Return a job's id, which PostgreSQL gives as a UUID."""
    return stored if isinstance(stored, str) else stored.hex


def words_of(text: str) -> tuple[str, ...]:
    """Return what ``text_of_tags`` was given."""
    return () if text == "[]" else texts(json.loads(text))


def workers_of(text: str) -> tuple[str, ...]:
    """Return what ``text_of_workers`` was given."""
    return () if text == "[]" else unfolded(json.loads(text))


def options_of(text: str) -> Mapping[str, Any]:
    """Return what ``text_of_options`` was given."""
    options = {} if text == "{}" else json.loads(text)
    if not isinstance(options, dict):
        raise TypeError("it is not a JSON object")
    return options


def errors_of(text: str) -> tuple[TaskError, ...]:
    """Return what ``text_of_errors`` was given."""
    if text == "[]":
        return ()
    errors = [texts([error["exception_class_path"], error["traceback"]]) for error in json.loads(text)]
    return tuple(TaskError(exception_class_path=path, traceback=story) for path, story in errors)


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
    moment = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    if moment == BEYOND:
        raise ValueError("it is beyond the calendar")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def text_of_workers(worker_ids: Sequence[str]) -> str:
    """Return worker ids as JSON text."""
    return json.dumps(folded(worker_ids)) if worker_ids else "[]"


def folded(worker_ids: Sequence[str]) -> list[str | int]:
    """Return worker ids as they are stored: in place of empty ones in a row, how many there are."""
    if "" not in worker_ids:
        return list(worker_ids)
    groups = [(worker_id, [*group]) for worker_id, group in groupby(worker_ids)]
    return [item for worker_id, group in groups for item in (group if worker_id else (len(group),))]


def unfolded(items: object) -> tuple[str, ...]:
    """Return the worker ids that ``folded`` was given. Raises ``TypeError`` or ``ValueError`` for what is not ours."""
    if not isinstance(items, list) or not all(type(item) in (str, int) for item in items):
        raise TypeError("it is not a list of texts and numbers")
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
    return f"\n{word_of_tag(tag)}"


def word_of_tag(tag: str) -> str:
    """Return a tag as it is in the text of tags."""
    return json.dumps(tag)


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
