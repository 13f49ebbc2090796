"""Changes jobs that no worker holds: cancels, retries, edits, deletes, releases nodes of workflows.

A change is fenced by the version of the row: it touches a row only if the row is as the job was read, which the job has
a note of (``Dialect.noted_job_of``). On PostgreSQL the version is the transaction that has written the row and the
place where it is stored, which the server changes with each update. On SQLite it is all columns of the row, so that no
transition is missed there either:

* A fetch makes the job ``RUNNING``, and such a row is never touched. It also sets ``last_attempted_at``, so the job
  differs even if it was finished, retried, handed back or rescued since.
* Another change sets some field to another value. If it has set it back since, the job is again as it was read.

The jobs of a batch travel as one JSON text. Their common values are sent once, as parameters.

A change that makes a job ready again may give it back its unique key, unless another job holds it. A change that gives
a job a once-key is refused if another job has the key.

A row may have got another version without a change of its job, and a job may come from elsewhere. So jobs that were
refused, or that have no note, are read once more, and changed if they are as they should be. An unreadable job can only
be deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

from django.db import IntegrityError

from ....core.job import READY, RETENTION, Job, utcnow
from ....core.job.retention import keys_kept_seconds
from ....core.uniqueness import takes_key
from ...base import Change
from ...rows import COLUMNS, FIELDS, LIMITED_AT, stored_kept_until
from ...timeouts import has_store_timeout
from ..dialect import Dialect, is_due
from ..shown_rows import ids
from ..sql.statements import AMONG, CHANGE, CHOSEN, DELETE, UNCHANGED
from .unique_keys import give_up, keys_in_index

#: Fields that need not be compared, and all fields that may change.
UNFENCED = ("id", "backend", "token", "worker_id")
FENCE = tuple(name for name in COLUMNS if name not in UNFENCED)
#: The fields that decide when a job is due. They are always written.
DECIDING = ("status", "run_after")
_DECIDE_TIME = attrgetter(*DECIDING, "tags")


def change(dialect: Dialect, changes: Sequence[Change]) -> set[str]:
    """Make the ``changes`` whose jobs are as they were read; return the ids of these jobs."""
    if keyed := [each for each in changes if each.takes_once_key]:
        made = {job_id for each in keyed for job_id in _change_alone(dialect, each)}
        plain = [each for each in changes if not each.takes_once_key]
        return made | change(dialect, plain) if plain else made
    now = utcnow()
    takers = {each.before.id: each for each in changes if takes_key(each.before, each.after, now)}
    others = [each for each in changes if each.before.id not in takers] if takers else changes
    made = _take_keys(dialect, [*takers.values()]) if takers else set()
    return made | _change_unchanged(dialect, others) if others else made


def _take_keys(dialect: Dialect, changes: Sequence[Change]) -> set[str]:
    """Make changes by which jobs take their unique keys; return the ids of the jobs that were changed.

    Of several changes with one key, the first is made. A change whose key another job holds is left out. If a key is
    taken meanwhile, the database refuses the statement, and each change is tried by itself.
    """
    wanted: dict[str, Change] = {}
    for each in changes:
        wanted.setdefault(str(each.after and each.after.unique_key), each)
    held, over = keys_in_index(dialect, wanted)
    takers = {each.before.id for each in wanted.values()}
    give_up(dialect, [job for job in over if job.id not in takers])
    free = {key: each for key, each in wanted.items() if key not in held}
    made: set[str] = set()
    for batch in ([*free.values()], *([each] for each in free.values())):
        try:
            if batch:
                made |= dialect.together(partial(_change_unchanged, dialect, batch), savepoint=True)
        except IntegrityError:
            continue
        if len(batch) == len(free):
            break
    return made


def _change_alone(dialect: Dialect, asked: Change) -> set[str]:
    """Make one change; return the id of its job. Nothing changes if the database has its key already."""
    try:
        return dialect.together(lambda: _change_unchanged(dialect, [asked]), savepoint=True)
    except IntegrityError:
        return set()


def _change_unchanged(dialect: Dialect, changes: Sequence[Change]) -> set[str]:
    noted = [each for each in changes if each.before.stored is not None and each.is_possible]
    made = _make(dialect, noted)
    if len(made) < len(changes):
        made |= _make(dialect, _read_again(dialect, [each for each in changes if each.before.id not in made]))
    return made


class _Batch:
    """The jobs of a batch as columns of values. The varying columns are in the list ``%(payload)s``."""

    def __init__(self, dialect: Dialect, jobs: Sequence[Job], new: Mapping[str, Sequence[Any]]) -> None:
        """``new``: the new values of each field. The columns with the stored values of ``jobs`` begin with ``was_``."""
        self._dialect = dialect
        notes = [job.stored for job in jobs]
        names, versions = (("version",), [notes]) if dialect.version else (COLUMNS, [*zip(*notes, strict=True)])
        old = {f"was_{name}": values for name, values in zip(names, versions, strict=True) if name not in UNFENCED}
        columns = {"id": [job.id for job in jobs], **old, **new}
        common = {name for name, values in columns.items() if name != "id" and values.count(values[0]) == len(values)}
        self._fence = [*old]
        self._varying = [name for name in columns if name not in common]
        rows = zip(*(columns[name] for name in self._varying), strict=True)
        payload = json.dumps([dict(zip(self._varying, row, strict=True)) for row in rows], default=repr)
        self.parameters = {"payload": payload, **{name: columns[name][0] for name in common}}

    def value(self, name: str, table: str) -> str:
        """Return the SQL of a value; ``table`` is the name of the list in the statement."""
        if name in self._varying:
            return f"{table}.{name}"
        # PostgreSQL cannot tell the type of a parameter in "%(run_after)s IS NULL".
        if self.parameters[name] is None:
            return "NULL"
        is_time = self._dialect.column_types.get(name.removeprefix("was_")) == "DateTimeField"
        return (self._dialect.time_parameter if is_time else "%({})s").format(name)

    @property
    def unchanged(self) -> str:
        """The SQL of the listed jobs that are as they were read."""
        dialect = self._dialect
        columns = {"version": dialect.version.format(table="mine."), **dialect.names}
        fence = (
            f"{'' if name == 'was_version' else 'mine.'}{columns[name.removeprefix('was_')]} {dialect.same} "
            f"{self.value(name, 'listed')}"
            for name in self._fence
        )
        return dialect.text(UNCHANGED, listed=dialect.listed(self._varying), same=" AND ".join(fence))


def _make(dialect: Dialect, changes: Sequence[Change]) -> set[str]:
    pairs = [(each.before, each.after) for each in changes if each.after is not None]
    deleted = [each.before for each in changes if each.after is None]
    changed = _change(dialect, pairs) if pairs else set()
    return changed | _delete(dialect, deleted) if deleted else changed


def _read_again(dialect: Dialect, changes: Sequence[Change]) -> list[Change]:
    """Return the changes whose jobs have the expected fields, but another stored version."""
    asked = {each.before.id: each for each in changes}
    payload = json.dumps([{"id": job_id} for job_id in asked])
    rows = dialect.execute(dialect.sql(AMONG, in_listed=dialect.is_in.format(dialect.listed(["id"]))), payload=payload)
    return [
        replace(each, before=job)
        for job, each in ((job, asked[job.id]) for job in map(dialect.noted_job_of, rows))
        if job == each.before and job.stored != each.before.stored and each.is_possible
    ]


def _change(dialect: Dialect, changes: Sequence[tuple[Job, Job]]) -> set[str]:
    jobs, after = zip(*changes, strict=True)
    old, new = _columns(jobs, FENCE), _columns(after, FENCE)
    new = {name: _stored(name, new[name]) for name in FENCE if name in DECIDING or old[name] != new[name]}
    if any(RETENTION in job.options for job in (*jobs, *after)):
        new["kept_until"] = [stored_kept_until(job) for job in after]
    batch = _Batch(dialect, jobs, new | {"due_at": _stored("run_after", [_due_at(*pair) for pair in changes])})
    sql = dialect.text(
        CHANGE,
        unchanged=batch.unchanged,
        new_run_after=batch.value("run_after", "held"),
        new_due_at=batch.value("due_at", "held"),
        set=", ".join(f"{dialect.names[name]} = {batch.value(name, 'held')}" for name in new),
    )
    wakes = is_due(job.run_after for job in after if job.status == READY)
    with dialect.preparing() if len(changes) == 1 and has_store_timeout() else nullcontext():
        return ids(dialect.write(sql, wakes=wakes, is_durable=True, now=0, **batch.parameters))


def _delete(dialect: Dialect, jobs: Sequence[Job]) -> set[str]:
    batch = _Batch(dialect, jobs, {})
    chosen = dialect.is_in.format(dialect.text(CHOSEN, unchanged=batch.unchanged))
    sql = dialect.text(DELETE, in_chosen=chosen)
    return ids(dialect.write(sql, is_durable=True, keys_before=-keys_kept_seconds(), **batch.parameters))


def _columns(jobs: Sequence[Job], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    return dict(zip(names, zip(*map(attrgetter(*names), jobs), strict=True), strict=True))


def _stored(name: str, values: Sequence[Any]) -> Sequence[Any]:
    """Return the stored forms of some values of a field. Often they are all the same."""
    write, first = FIELDS[name].write, values[0]
    if write is None:
        return values
    if values.count(first) == len(values):
        return [first if first is None else write(first)] * len(values)
    return [value if value is None else write(value) for value in values]


def _due_at(before: Job, after: Job) -> datetime | None:
    """Return when a job is due; ``None`` if this does not change.

    A job that waits keeps its time, because a clock that was put back may have made it due earlier than its fields say.
    With other tags it gets a new one, because a pause of a former tag may hold it back.
    """
    if after.status != READY:
        return None
    if after.limit_key is not None:
        return LIMITED_AT
    if before.limit_key is None and _DECIDE_TIME(before) == _DECIDE_TIME(after):
        return None
    return after.due_at
