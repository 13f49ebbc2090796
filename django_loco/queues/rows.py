"""How a job is stored outside a process: ``FIELDS`` says for each field what its stored form is.

A row holds these forms: text, numbers and ``None``. The database queue has a column for each, the spool of the memory
queue a JSON object with all of them, and the Redis queue reads and writes those that its own format does not have.

To add a field, add it to ``Job`` and to ``FIELDS``, and add a column to ``StoredJob`` with a migration. It must be
``None`` by default: that is how jobs are read that an older release has stored.

Times are UTC and always carry six decimals, so that their texts sort as the times do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from types import NoneType
from typing import Any
from uuid import UUID

from ..core.compat import TaskError, TaskResultStatus
from ..core.job import Job
from .unreadable import texts

Row = tuple[Any, ...]

#: How many attempts a stored job can have had; a text that somebody has edited must not fill the memory.
MAX_ATTEMPTS = 10_000_000

#: How a database shows a time that Python does not have: PostgreSQL's ``infinity``, or the year 10,000.
BEYOND = datetime.min  # noqa: DTZ901 - as a database without zones gives it

STATUSES = {status.value: status for status in TaskResultStatus}


def id_of(stored: str | UUID) -> str:
    """Return a job's id, which PostgreSQL gives as a UUID."""
    return stored if isinstance(stored, str) else stored.hex


def tags_of(text: str) -> tuple[str, ...]:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredField:
    """One field of ``Job``, and how it is stored."""

    name: str
    """Of the field, and of its column."""

    types: tuple[type, ...] = (str,)
    """The types that a stored value may have."""

    write: Callable[[Any], Any] | None = None
    """Makes the stored form of a value that is not ``None``; without it the value is stored as it is."""

    read: Callable[[Any], Any] | None = None
    """Makes a value of its stored form, unless that is ``None``. Raises one of ``unreadable.NOT_OURS``."""

    is_settled: bool = False
    """Whether each outcome brings a new value, see ``Outcome.changes``."""


_TEXT_OR_NONE = (str, NoneType)
_TIME: dict[str, Any] = {"types": (str, datetime, NoneType), "write": text_of_time, "read": time_of}

FIELDS = (
    StoredField(name="id", types=(str, UUID), read=id_of),
    StoredField(name="backend"),
    StoredField(name="task_path"),
    StoredField(name="arguments"),
    StoredField(name="queue_name"),
    StoredField(name="priority", types=(int,)),
    StoredField(name="is_async", types=(int,), read=bool),
    StoredField(name="run_after", is_settled=True, **_TIME),
    StoredField(name="enqueued_at", **_TIME | {"types": (str, datetime)}),
    StoredField(name="tags", write=text_of_tags, read=tags_of),
    StoredField(name="options", write=text_of_options, read=options_of),
    StoredField(name="key", types=_TEXT_OR_NONE),
    StoredField(name="status", write=attrgetter("value"), read=STATUSES.__getitem__, is_settled=True),
    StoredField(name="started_at", **_TIME),
    StoredField(name="last_attempted_at", **_TIME),
    StoredField(name="finished_at", is_settled=True, **_TIME),
    StoredField(name="worker_ids", write=text_of_workers, read=workers_of, is_settled=True),
    StoredField(name="errors", write=text_of_errors, read=errors_of, is_settled=True),
    StoredField(name="lost", types=(int,), is_settled=True),
    StoredField(name="return_value", types=_TEXT_OR_NONE, is_settled=True),
    StoredField(name="token", types=_TEXT_OR_NONE),
    StoredField(name="worker_id", types=_TEXT_OR_NONE),
    StoredField(name="checkpoint", types=_TEXT_OR_NONE),
)
#: The names of the fields, in the order of a row.
COLUMNS = tuple(field.name for field in FIELDS)
#: The fields that a row may lack, because an older release has written it.
OPTIONAL: Mapping[str, None] = {field.name: None for field in FIELDS if NoneType in field.types}
#: The fields that each outcome sets.
SETTLED = tuple(field for field in FIELDS if field.is_settled)

_TYPES = tuple(field.types for field in FIELDS)
_WRITERS = tuple((place, field.write) for place, field in enumerate(FIELDS) if field.write)
_READERS = tuple((place, field.read) for place, field in enumerate(FIELDS) if field.read)
_values_of: Callable[[Job], Row] = attrgetter(*COLUMNS)


def row_of(job: Job) -> Row:
    """Return ``job`` as a row."""
    row = list(_values_of(job))
    for place, write in _WRITERS:
        if (value := row[place]) is not None:
            row[place] = write(value)
    return tuple(row)


def job_of(row: Sequence[Any]) -> Job:
    """Return the job that ``row`` holds. Times may be texts or naive UTC datetimes, the id a UUID.

    Raises one of ``unreadable.NOT_OURS`` if ``row`` is not what ``row_of`` makes.
    """
    if not all(map(isinstance, row, _TYPES)):
        raise TypeError("a column has a value of another type")
    values = list(row)
    for place, read in _READERS:
        if (value := values[place]) is not None:
            values[place] = read(value)
    return Job(**dict(zip(COLUMNS, values, strict=False)))  # a statement may return more columns


def outcome_values(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored form of ``Outcome.changes``, of those fields that each outcome sets."""
    return {
        field.name: changes[field.name] if field.write is None else field.write(changes[field.name])
        for field in SETTLED
    }
