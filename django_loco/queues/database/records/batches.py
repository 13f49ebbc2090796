"""Batches in the database: a row for each, and the id of its batch in the row of each member.

The statements ask for the members by their index, ``django_loco_batch_members``, in its own order. Otherwise PostgreSQL
may read the whole table, because it still expects as many unfinished members as when it last analyzed the table.

A transaction that adds members to a batch, or finishes it, locks its row until the commit. So a batch does not finish
between the look at its state and the insert of a member. A locked batch is looked at again later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from ....core.job import FAILED, GIVEN_UP, Job
from ...base import Change
from ...records.batches import BATCH, EVENTS, BatchCounts, Batches, BatchRecord, batches_of, reopened_by
from ...rows import Row, digits_of, id_of, stored_time, time_of
from ..dialect import Dialect
from ..jobs.changes import change
from ..jobs.inserting import insert
from ..sql.statements import STATES
from . import DatabaseRecords

#: The batches that are looked at in one call, unless they are given.
LIMIT = 100
NO_FRAGMENTS: Mapping[str, str] = MappingProxyType({})
COUNTS = ("total", "succeeded", "failed", "cancelled")
TIMES = ("created_at", "sealed_at", "cancelled_at", "finished_at", "called_at")
COLUMNS = ("id", "backend", "name", "callbacks", "metadata", "kind", "round", *TIMES, *COUNTS)

OPEN = """
    INSERT INTO {batches}
        (id, backend, name, callbacks, metadata, kind, created_at, round, total, succeeded, failed, cancelled)
    VALUES (%(batch)s, %(alias)s, %(name)s, %(callbacks)s, %(metadata)s, %(kind)s, {now}, 1, 0, 0, 0, 0)
    ON CONFLICT (id) DO NOTHING
"""
#: An existing row stays as it is, except for the values that ``restore_batch`` may change.
RESTORE = """
    INSERT INTO {batches} ({columns}) VALUES ({values})
    ON CONFLICT (id) DO UPDATE SET sealed_at = excluded.sealed_at, total = {batches}.total + excluded.total
    WHERE {batches}.backend = excluded.backend AND {batches}.sealed_at IS NULL AND excluded.sealed_at IS NOT NULL
"""
READ = "SELECT {batch_columns} FROM {batches} AS mine WHERE mine.backend = %(alias)s"
READ_ONE = READ + " AND mine.id = %(batch)s"
READ_NEWEST = READ + " {below} ORDER BY mine.id DESC LIMIT %(limit)s"
COUNT_CANCELLED = """
    SELECT {batch}, count(*) FROM {job} WHERE {batch} IN ({ids}) AND {status} = 'FAILED'
    AND {last_error} IN ({given_up}) GROUP BY {batch}
"""
MEMBERS = """
    SELECT {id} FROM {job} WHERE {batch} = %(batch)s AND {status} {of_kind} AND {id} > %(after)s
    ORDER BY {id} LIMIT %(limit)s
"""
_GIVEN_UP: dict[str, Any] = {f"given_up{place}": path for place, path in enumerate(sorted(GIVEN_UP))}
#: By the kind of members.
KINDS = {"left": "IN ('READY', 'RUNNING')", "failed": "= 'FAILED'", "succeeded": "= 'SUCCESSFUL'"}
ADD = """
    UPDATE {batches} SET total = total + %(number)s
    WHERE backend = %(alias)s AND id = %(batch)s AND finished_at IS NULL AND cancelled_at IS NULL
    RETURNING id
"""
TAKE_BACK = "UPDATE {batches} SET total = total - %(number)s WHERE backend = %(alias)s AND id = %(batch)s"
SEAL = """
    UPDATE {batches} SET sealed_at = coalesce(sealed_at, {now}) {and_cancel}
    WHERE backend = %(alias)s AND id = %(batch)s AND finished_at IS NULL
    RETURNING id
"""
AND_CANCEL = ", cancelled_at = coalesce(cancelled_at, {now})"
#: A range of states that contains READY and RUNNING, and no other.
FIRST_LEFT = """
    SELECT {id} FROM {job} WHERE {batch} = mine.id AND {status} BETWEEN 'READY' AND 'RUNNING'
    ORDER BY {status}, {id} LIMIT 1
"""
TO_SETTLE = """
    SELECT mine.id FROM {batches} AS mine
    WHERE mine.backend = %(alias)s AND mine.called_at IS NULL AND mine.sealed_at IS NOT NULL {among}
    AND (mine.finished_at IS NOT NULL OR ({first_left}) IS NULL)
    ORDER BY mine.id LIMIT %(limit)s
"""
LOCK = "SELECT id FROM {batches} WHERE id = %(batch)s {skip_locked}"
FINISH = """
    UPDATE {batches} SET finished_at = {now}, succeeded = %(succeeded)s, failed = %(failed)s, cancelled = %(cancelled)s
    WHERE id = %(batch)s AND finished_at IS NULL
"""
CALLED = """
    UPDATE {batches} SET called_at = {now}
    WHERE backend = %(alias)s AND id = %(batch)s AND round = %(round)s AND called_at IS NULL
    RETURNING id
"""
#: Waits for a transaction that finishes the batch. Later transactions read whether members are left.
HOLD = "UPDATE {batches} SET round = round WHERE backend = %(alias)s AND id = %(batch)s RETURNING finished_at"
#: Members that were deleted meanwhile do not count any more.
REOPEN = """
    UPDATE {batches} SET round = round + 1, finished_at = NULL, called_at = NULL, cancelled_at = NULL, total = %(total)s
    WHERE id = %(batch)s
"""
#: The once-keys of the jobs that follow the batch ``mine``, as ``key_of`` makes them.
_FOLLOWERS = ", ".join(f"'batch:' || mine.id || ':' || mine.round || ':{event}'" for event in EVENTS)
#: Whether one of them waits or runs.
IS_FOLLOWED = """
    EXISTS (
        SELECT 1 FROM {job} WHERE {backend} = %(alias)s AND {key} IN (:followers) AND {status} IN ('READY', 'RUNNING')
    )
""".replace(":followers", _FOLLOWERS)
PRUNE = """
    DELETE FROM {batches} AS mine WHERE mine.backend = %(alias)s AND mine.called_at < {before} AND NOT {is_followed}
"""
CLEAR_BATCHES = "DELETE FROM {batches} WHERE backend = %(alias)s"


def insert_counted(dialect: Dialect, jobs: Sequence[Job]) -> tuple[set[str], str | None]:
    """Store new jobs, and count the members of batches among them; return the ids of the stored ones.

    If a batch takes no more jobs, nothing is stored, and its id is returned as well. It is not raised as an error,
    because that would break the caller's transaction. So no savepoint is needed.
    """
    if not any([job.batch is not None for job in jobs]):
        return insert(dialect, jobs), None

    def act() -> tuple[set[str], str | None]:
        if (closed := _count_in(dialect, batches_of(jobs))) is not None:
            return set(), closed
        stored = insert(dialect, jobs)
        _take_back(dialect, batches_of([job for job in jobs if job.id not in stored]))
        return stored, None

    return dialect.together(act)


def _count_in(dialect: Dialect, numbers: Mapping[str, int]) -> str | None:
    """Count new members. If a batch takes no more, count none, and return its id."""
    counted: dict[str, int] = {}
    for batch_id, number in numbers.items():
        if not _run(dialect, ADD, batch=batch_id, number=number):
            _take_back(dialect, counted)
            return batch_id
        counted[batch_id] = number
    return None


def _take_back(dialect: Dialect, numbers: Mapping[str, int]) -> None:
    for batch_id, number in numbers.items():
        _run(dialect, TAKE_BACK, batch=batch_id, number=number)


def change_members(dialect: Dialect, changes: Sequence[Change]) -> set[str]:
    """``change``, and begin another round of finished batches that get members which are ready again."""
    ready = {each.before.id: batch_id for each in changes if (batch_id := reopened_by(each.before, each.after))}
    if not ready:
        return change(dialect, changes)

    def act() -> set[str]:
        rows = {batch_id: _run(dialect, HOLD, batch=batch_id) for batch_id in sorted({*ready.values()})}
        changed = change(dialect, changes)
        for batch_id in sorted({batch_id for job_id, batch_id in ready.items() if job_id in changed}):
            if any(finished_at for (finished_at,) in rows[batch_id]):
                total = sum(_by_status(dialect, [batch_id])[batch_id].values())
                _run(dialect, REOPEN, batch=batch_id, total=total)
        return changed

    return dialect.together(act)


def prune_batches(dialect: Dialect, older_than: float) -> None:
    """Delete batches whose callbacks were enqueued ``older_than`` seconds ago, and have ended."""
    _run(dialect, PRUNE, fragments={"is_followed": IS_FOLLOWED}, before=-older_than)


def _run(dialect: Dialect, template: str, *, fragments: Mapping[str, str] = NO_FRAGMENTS, **given: Any) -> list[Row]:
    columns = ", ".join(
        dialect.read(f"mine.{name}", "DateTimeField") if name in TIMES else f"mine.{name}" for name in COLUMNS
    )
    last_error = dialect.last_error.format(**dialect.names)
    given_up = ", ".join(f"%({name})s" for name in _GIVEN_UP)
    sql = dialect.sql(
        template, first_left=FIRST_LEFT, batch_columns=columns, last_error=last_error, given_up=given_up, **fragments
    )
    return dialect.execute(sql, **{"now": 0, **given})


def _record_of(row: Row) -> BatchRecord:
    values = dict(zip(COLUMNS, row, strict=True))
    counts = BatchCounts(*(values.pop(name) for name in COUNTS))
    values["kind"] = values["kind"] or BATCH
    return BatchRecord(**values | {name: time_of(values[name]) for name in TIMES}, counts=counts)


def _listed(ids: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fragment with the names of parameters for ``ids``, and the parameters."""
    given = {f"batch{place}": batch_id for place, batch_id in enumerate(ids)}
    return {"ids": ", ".join(f"%({name})s" for name in given) or "NULL"}, given


def _by_status(dialect: Dialect, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many members of some batches are stored, by batch and status."""
    found: dict[str, dict[str, int]] = {batch_id: {} for batch_id in ids}
    if not ids:
        return found
    fragments, given = _listed(ids)
    for batch_id, *numbers in _run(dialect, dialect.count_members, fragments=fragments, **given):
        found[id_of(batch_id)] = {status: number for status, number in zip(STATES, numbers, strict=True) if number}
    return found


def _counted(dialect: Dialect, records: Sequence[BatchRecord]) -> list[BatchRecord]:
    """Return batches with their counts as they are now. Members that are not stored any more count as cancelled."""
    by_status = _by_status(dialect, [record.id for record in records if record.finished_at is None])
    fragments, given = _listed([batch_id for batch_id, numbers in by_status.items() if FAILED.value in numbers])
    rows = _run(dialect, COUNT_CANCELLED, fragments=fragments, **given, **_GIVEN_UP) if given else ()
    cancelled = {id_of(batch_id): int(number) for batch_id, number in rows}
    return [
        _with_counts(record, by_status[record.id], cancelled.get(record.id, 0)) if record.id in by_status else record
        for record in records
    ]


def _with_counts(record: BatchRecord, by_status: Mapping[str, int], cancelled: int) -> BatchRecord:
    stored, failed = sum(by_status.values()), by_status.get(FAILED.value, 0)
    total, gone = max(record.counts.total, stored), max(0, record.counts.total - stored)
    succeeded = by_status.get("SUCCESSFUL", 0)
    return replace(record, counts=BatchCounts(total, succeeded, failed - cancelled, cancelled + gone))


def _settled(dialect: Dialect, batch_id: str) -> BatchRecord | None:
    """Return a batch that has finished, now or before; ``None`` if members are left, or somebody adds some."""
    if not _run(dialect, LOCK, batch=batch_id):
        return None
    [record] = _counted(dialect, [_record_of(_run(dialect, READ_ONE, batch=batch_id)[0])])
    if record.called_at is not None or record.counts.left:
        return None
    if record.finished_at is None:
        counts = record.counts
        ways: dict[str, Any] = {
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
        }
        _run(dialect, FINISH, batch=batch_id, **ways)
    return record


class StoredBatches(DatabaseRecords, Batches):
    """The batches of ``DatabaseQueue``."""

    def open_batch(self, batch: BatchRecord) -> None:
        """Store a new batch."""
        names = ("name", "callbacks", "metadata", "kind")
        texts: dict[str, Any] = {name: getattr(batch, name) for name in names}
        with self._reached():
            _run(self._dialect, OPEN, batch=batch.id, **texts)

    def restore_batch(self, batch: BatchRecord) -> None:
        """Store a batch of another store as it is."""
        given: dict[str, Any] = {name: getattr(batch, name) for name in COLUMNS if name not in (*TIMES, *COUNTS)}
        given |= {name: moment and stored_time(moment) for name in TIMES for moment in [getattr(batch, name)]}
        given |= batch.counts._asdict()
        fragments = {
            "columns": ", ".join(given),
            "values": ", ".join(
                (self._dialect.time_parameter if name in TIMES else "%({})s").format(name) for name in given
            ),
        }
        with self._reached():
            _run(self._dialect, RESTORE, fragments=fragments, **given)

    def get_batch(self, batch_id: str) -> BatchRecord | None:
        """Return a batch with its counts."""
        if (digits := digits_of(batch_id)) is None:
            return None
        with self._reached():
            rows = _run(self._dialect, READ_ONE, batch=digits)
            return _counted(self._dialect, [_record_of(rows[0])])[0] if rows else None

    def list_batches(self, *, before: str | None = None, limit: int = 100) -> Sequence[BatchRecord]:
        """Return batches, the newest first."""
        below = {"below": "" if before is None else "AND mine.id < %(before_id)s"}
        with self._reached():
            rows = _run(self._dialect, READ_NEWEST, fragments=below, before_id=before, limit=limit)
        return [*map(_record_of, rows)]

    def count_batches(self, batches: Sequence[BatchRecord]) -> Sequence[BatchRecord]:
        """Return batches with their counts as they are now."""
        with self._reached():
            return _counted(self._dialect, batches)

    def batch_members(self, batch_id: str, kind: str, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Return the ids of members."""
        given = {"batch": batch_id, "after": after or "0" * 32, "limit": limit}
        with self._reached():
            return [id_of(row[0]) for row in _run(self._dialect, MEMBERS, fragments={"of_kind": KINDS[kind]}, **given)]

    def seal_batch(self, batch_id: str, *, is_cancelled: bool = False) -> bool:
        """Record that a batch is filled."""
        fragments = {"and_cancel": AND_CANCEL if is_cancelled else ""}
        with self._reached():
            return bool(_run(self._dialect, SEAL, fragments=fragments, batch=batch_id))

    def settle_batches(self, ids: Sequence[str] | None = None, members: Sequence[Job] = ()) -> Sequence[BatchRecord]:  # noqa: ARG002
        """Finish batches that have no member left."""
        fragments, given = _listed(ids or ())
        among = "" if ids is None else f"AND mine.id IN ({fragments['ids']})"
        with self._reached():
            rows = _run(self._dialect, TO_SETTLE, fragments={"among": among}, limit=len(given) or LIMIT, **given)
            return [
                record
                for (batch_id,) in rows
                if (record := self._dialect.together(partial(_settled, self._dialect, batch_id)))
            ]

    def note_called(self, batch: BatchRecord) -> bool:
        """Record that the callbacks of a batch are enqueued."""
        with self._reached():
            return bool(_run(self._dialect, CALLED, batch=batch.id, round=batch.round))
