"""Changes that people make to jobs that no worker holds: cancel, retry, edit, delete.

A change is fenced by the job itself: it touches a row only if the row is as the job was read. All fields are compared,
so that no transition is missed:

* A fetch makes the job ``RUNNING``, and such a row is never touched. It also sets ``last_attempted_at``, so the job
  differs even if it was finished, retried, handed back or rescued since.
* Another change sets some field to another value. If it has set it back since, the job is again as it was read.

The jobs of a batch travel as one JSON text. Their common values are sent once, as parameters.

A change that makes a job ready again may give it back its unique key, unless another job holds it. A change that gives
a job a once-key is refused if another job has the key.

The columns are compared with the text that this version stores. Somebody else, or another version, may have written the
same JSON or the same time in other words. So refused jobs are read once more. If their own words mean the job that was
read, the columns are compared with these. An unreadable job can only be deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from django.db import IntegrityError

from ....core.job import READY, RETENTION, Job, utcnow
from ....core.job.retention import keys_kept_seconds
from ....core.uniqueness import takes_key
from ...base import Change
from ...rows import COLUMNS, FIELDS, LIMITED_AT, row_of, stored_kept_until, stored_time
from ..dialect import Dialect, is_due
from ..shown_rows import ids, shown_job_of
from ..sql.statements import AMONG, CHANGE, CHOSEN, DELETE, UNCHANGED
from .unique_keys import give_up, keys_in_index

#: All fields that may change. If none of them has changed, the job is as it was read.
FENCE = tuple(name for name in COLUMNS if name not in ("id", "backend", "token", "worker_id"))
#: The fields that decide when a job is due. They are always written.
DECIDING = ("status", "run_after")

#: By the ids of some jobs, the stored form of each field.
Words = Mapping[str, Mapping[str, Any]]


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
    made = _make(dialect, changes)
    if refused := {each.before.id: each for each in changes if each.before.id not in made}:
        words = _other_words(dialect, refused)
        made |= _make(dialect, [refused[job_id] for job_id in words], words)
    return made


class _Batch:
    """The jobs of a batch as columns of values. The varying columns are in the list ``%(payload)s``."""

    def __init__(self, dialect: Dialect, columns: Mapping[str, Sequence[Any]]) -> None:
        """``columns``: the values of each field; with ``was_`` before its name, the values that were read."""
        self._dialect = dialect
        common = {name for name in columns if name not in ("id", "due_at") and self._is_common(name, columns[name])}
        self._varying = [name for name in columns if name not in common]
        rows = zip(*(columns[name] for name in self._varying), strict=True)
        payload = json.dumps([dict(zip(self._varying, row, strict=True)) for row in rows])
        self.parameters = {"payload": payload, **{name: columns[name][0] for name in common}}

    def _is_common(self, name: str, values: Sequence[Any]) -> bool:
        first = values[0]
        is_time = self._dialect.column_types[name.removeprefix("was_")] == "DateTimeField"
        return (first is None or not is_time) and values.count(first) == len(values)

    def value(self, name: str, table: str) -> str:
        """Return the SQL of a value; ``table`` is the name of the list in the statement."""
        if name in self._varying:
            return f"{table}.{name}"
        # PostgreSQL cannot tell the type of a parameter in "%(run_after)s IS NULL".
        return "NULL" if self.parameters[name] is None else f"%({name})s"

    @property
    def unchanged(self) -> str:
        """The SQL of the listed jobs that are as they were read."""
        names, same = self._dialect.names, self._dialect.same
        fence = (f"mine.{names[name]} {same} {self.value(f'was_{name}', 'listed')}" for name in FENCE)
        return self._dialect.text(UNCHANGED, listed=self._dialect.listed(self._varying), same=" AND ".join(fence))


def _make(dialect: Dialect, changes: Sequence[Change], words: Words | None = None) -> set[str]:
    pairs = [(each.before, each.after) for each in changes if each.after is not None]
    deleted = [each.before for each in changes if each.after is None]
    changed = _change(dialect, pairs, words) if pairs else set()
    return changed | _delete(dialect, deleted, words) if deleted else changed


def _other_words(dialect: Dialect, changes: Mapping[str, Change]) -> Words:
    """Return the stored words of the unchanged jobs that this version would store in other words."""
    payload = json.dumps([{"id": job_id} for job_id in changes])
    rows = dialect.execute(dialect.sql(AMONG, in_listed=dialect.is_in.format(dialect.listed(["id"]))), payload=payload)
    found = {}
    for job, row in ((shown_job_of(row), row) for row in rows):
        usual = dict(zip(COLUMNS, row_of(job), strict=True))
        words = usual | {name: word for name, word in zip(COLUMNS, row, strict=False) if isinstance(word, str)}
        each = changes[job.id]
        if job == each.before and words != usual and (job.is_readable or each.after is None):
            found[job.id] = words
    return found


def _change(dialect: Dialect, changes: Sequence[tuple[Job, Job]], words: Words | None) -> set[str]:
    jobs, after = zip(*changes, strict=True)
    old, new = _columns(jobs, FENCE), _columns(after, FENCE)
    new = {name: _stored(name, new[name]) for name in FENCE if name in DECIDING or old[name] != new[name]}
    if any(RETENTION in job.options for job in (*jobs, *after)):
        new["kept_until"] = [stored_kept_until(job) for job in after]
    columns = _fence(jobs, words) | {"due_at": [_due_at(*pair) for pair in changes]} | new
    batch = _Batch(dialect, columns)
    sql = dialect.text(
        CHANGE,
        unchanged=batch.unchanged,
        new_run_after=batch.value("run_after", "held"),
        set=", ".join(f"{dialect.names[name]} = {batch.value(name, 'held')}" for name in new),
    )
    wakes = is_due(job.run_after for job in after if job.status == READY)
    return ids(dialect.write(sql, wakes=wakes, is_durable=True, now=0, **batch.parameters))


def _delete(dialect: Dialect, jobs: Sequence[Job], words: Words | None) -> set[str]:
    batch = _Batch(dialect, _fence(jobs, words))
    chosen = dialect.is_in.format(dialect.text(CHOSEN, unchanged=batch.unchanged))
    sql = dialect.text(DELETE, in_chosen=chosen)
    return ids(dialect.write(sql, is_durable=True, keys_before=-keys_kept_seconds(), **batch.parameters))


def _fence(jobs: Sequence[Job], words: Words | None) -> dict[str, Sequence[Any]]:
    columns = {f"was_{name}": _stored(name, values) for name, values in _columns(jobs, FENCE).items()}
    if words is not None:
        columns = {f"was_{name}": [words[job.id][name] for job in jobs] for name in FENCE}
    return {"id": [job.id for job in jobs], **columns}


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


def _due_at(before: Job, after: Job) -> str | None:
    """Return when a job is due; ``None`` if this does not change.

    A job that waits keeps its time, because a clock that was put back may have made it due earlier than its fields say.
    """
    if after.status != READY:
        return None
    if after.limit_key is not None:
        return stored_time(LIMITED_AT)
    if before.limit_key is None and (before.status, before.run_after) == (after.status, after.run_after):
        return None
    return stored_time(after.due_at)
