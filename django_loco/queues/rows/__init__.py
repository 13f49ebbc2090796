"""The stored form of each field of ``Job``, and rows of them.

A row consists of stored forms: text, numbers and ``None``. The database queue has a column for each. The spool of the
memory queue stores all of them as a JSON object. The Redis queue stores in this form the fields that its own lists do
not have.

To add a field, add it to ``Job``, and a column to ``StoredJob`` with a migration. Its form follows from its type. Its
default must be ``None``, which is how jobs that an older release has stored are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from types import NoneType
from typing import Any

from ...core.job import READY, RETENTION, Job, Outcome, job_with
from ...core.job.retention import kept_until
from .forms import FORMS, StoredForm, stored_time

Row = tuple[Any, ...]

#: The number of runs of a job whose logs are kept: the last ones.
LOGS_KEPT = 5

#: The ``due_at`` of limited jobs that wait, where no plain fetch meets them: see ``database.sql.limits``.
LIMITED_AT = datetime(9998, 1, 1, tzinfo=UTC)

#: All fields of a job, in the order of a row, and how they are stored.
FIELDS: Mapping[str, StoredForm] = {
    field.name: FORMS[field.name] if field.name in FORMS else FORMS[str(field.type)] for field in fields(Job)
}
COLUMNS = tuple(FIELDS)
#: The fields that a row may lack, because an older release has written it.
OPTIONAL: Mapping[str, None] = {name: None for name, form in FIELDS.items() if NoneType in form.types}
#: The fields that each outcome sets to a new value: see ``Outcome.changes``.
SET_BY_OUTCOME = (
    "status",
    "run_after",
    "started_at",
    "last_attempted_at",
    "finished_at",
    "worker_ids",
    "errors",
    "lost",
    "return_value",
)

#: The fields that a row must have.
REQUIRED = tuple(name for name in FIELDS if name not in OPTIONAL)
_REQUIRED_FORMS = tuple((name, FIELDS[name]) for name in REQUIRED)
_optional_values_of: Callable[[Job], Row] = attrgetter(*OPTIONAL)
#: The fields that a new job of a unique task has beside the required ones.
UNIQUE = ("unique_key", "unique_until")
_but_unique_values_of: Callable[[Job], Row] = attrgetter(*(name for name in OPTIONAL if name not in UNIQUE))
_NO_OPTIONAL_VALUES = (None,) * len(OPTIONAL)

_TYPES = tuple(form.types for form in FIELDS.values())
_WRITERS = tuple((place, form.write) for place, form in enumerate(FIELDS.values()) if form.write)
_OUTCOME_WRITERS = tuple((name, FIELDS[name].write) for name in SET_BY_OUTCOME)
_READERS = tuple((place, form.read) for place, form in enumerate(FIELDS.values()) if form.read)
_values_of: Callable[[Job], Row] = attrgetter(*COLUMNS)


def appended_log(stored: str | None, more: str) -> str:
    """Return the logs of a job with ``more`` added, without all but the last ``LOGS_KEPT``. Each line is one run's."""
    lines = [*(stored.split("\n") if stored else ()), *more.split("\n")]
    return "\n".join(lines[-LOGS_KEPT:])


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Return the stored form of ``outcome``: its claim, ``SET_BY_OUTCOME``, and the log if there is one.

    ``due_at`` is ``None`` if the job keeps its place in the order. ``kept_until`` is there if the job has a retention.
    """
    job, changes = outcome.job, outcome.changes()
    moment = LIMITED_AT if job.limit_key is not None else outcome.run_after
    due_at = stored_time(moment) if moment and outcome.status == READY else None
    row = {"id": job.id, "token": job.token, "due_at": due_at}
    for name, write in _OUTCOME_WRITERS:
        value = changes[name]
        row[name] = value if value is None or write is None else write(value)
    if RETENTION in job.options:
        row["kept_until"] = stored_kept_until(outcome.applied())
    return row if outcome.log is None else row | {"log": outcome.log}


def stored_kept_until(job: Job) -> str | None:
    """Return the stored form of the time until which ``job`` is kept; ``None``: ``RESULT_TTL`` decides."""
    until = kept_until(job)
    return None if until is None else stored_time(until)


def has_only_required(job: Job) -> bool:
    """Return whether all optional fields of ``job`` are ``None``: it is new, due at once, and has no key."""
    return _optional_values_of(job) == _NO_OPTIONAL_VALUES


def has_only_unique_key(job: Job) -> bool:
    """Return whether ``job`` is new, due at once, and has a unique key, but no once-key."""
    return job.unique_key is not None and _but_unique_values_of(job) == _NO_OPTIONAL_VALUES[len(UNIQUE) :]


def required_row_of(job: Job) -> dict[str, Any]:
    """Return the stored forms of the fields that every job has."""
    return {name: form.stored(getattr(job, name)) for name, form in _REQUIRED_FORMS}


def row_of(job: Job) -> Row:
    """Return ``job`` as a row."""
    row = list(_values_of(job))
    for place, write in _WRITERS:
        if (value := row[place]) is not None:
            row[place] = write(value)
    return tuple(row)


def job_of(row: Sequence[Any]) -> Job:
    """Return the job in ``row``. Times may be texts or naive UTC datetimes, and the id may be a UUID.

    Raises one of ``unreadable.NOT_OURS`` if the row cannot be read.
    """
    if not all(map(isinstance, row, _TYPES)):
        raise TypeError("a column has a value of another type")
    values = list(row)
    for place, read in _READERS:
        if (value := values[place]) is not None:
            values[place] = read(value)
    return job_with(values)  # a statement may return more columns
