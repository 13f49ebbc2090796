"""Batches in the database: a row for each, and the id of its batch in the row of each member.

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
from ...records.batches import BATCH, BatchCounts, Batches, BatchRecord, batches_of, reopened_by
from ...rows import Row
from ...rows.forms import digits_of, id_of, stored_time, time_of
from ..dialect import Dialect
from ..jobs.changes import change
from ..jobs.inserting import insert
from ..sql import batches as sql
from ..sql.statements import STATES
from .statement_runner import StatementRunner

#: The batches that are looked at in one call, unless they are given.
LIMIT = 100
NO_FRAGMENTS: Mapping[str, str] = MappingProxyType({})
COUNTS = ("total", "succeeded", "failed", "cancelled")
TIMES = ("created_at", "sealed_at", "cancelled_at", "finished_at", "called_at")
COLUMNS = ("id", "backend", "name", "callbacks", "metadata", "kind", "round", *TIMES, *COUNTS)
_GIVEN_UP: dict[str, Any] = {f"given_up{place}": path for place, path in enumerate(sorted(GIVEN_UP))}


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
        if not _run(dialect, sql.ADD, batch=batch_id, number=number):
            _take_back(dialect, counted)
            return batch_id
        counted[batch_id] = number
    return None


def _take_back(dialect: Dialect, numbers: Mapping[str, int]) -> None:
    for batch_id, number in numbers.items():
        _run(dialect, sql.TAKE_BACK, batch=batch_id, number=number)


def change_members(dialect: Dialect, changes: Sequence[Change]) -> set[str]:
    """``change``, and begin another round of finished batches that get members which are ready again."""
    ready = {each.before.id: batch_id for each in changes if (batch_id := reopened_by(each.before, each.after))}
    if not ready:
        return change(dialect, changes)

    def act() -> set[str]:
        rows = {batch_id: _run(dialect, sql.HOLD, batch=batch_id) for batch_id in sorted({*ready.values()})}
        changed = change(dialect, changes)
        for batch_id in sorted({batch_id for job_id, batch_id in ready.items() if job_id in changed}):
            if any(finished_at for (finished_at,) in rows[batch_id]):
                total = sum(_by_status(dialect, [batch_id])[batch_id].values())
                _run(dialect, sql.REOPEN, batch=batch_id, total=total)
        return changed

    return dialect.together(act)


def prune_batches(dialect: Dialect, older_than: float) -> None:
    """Delete batches whose callbacks were enqueued ``older_than`` seconds ago, and have ended; first their edges."""
    fragments = {"is_old": sql.IS_OLD, "is_followed": sql.IS_FOLLOWED, "first_edge": sql.FIRST_EDGE}
    for (batch_id,) in _run(dialect, sql.OLD_WITH_EDGES, fragments=fragments, before=-older_than):
        _run(dialect, sql.DROP_EDGES, batch=batch_id)
    _run(dialect, sql.PRUNE, fragments=fragments, before=-older_than)


def _run(dialect: Dialect, template: str, *, fragments: Mapping[str, str] = NO_FRAGMENTS, **given: Any) -> list[Row]:
    columns = ", ".join(
        dialect.read(f"mine.{name}", "DateTimeField") if name in TIMES else f"mine.{name}" for name in COLUMNS
    )
    last_error = dialect.last_error.format(**dialect.names)
    given_up = ", ".join(f"%({name})s" for name in _GIVEN_UP)
    text = dialect.sql(
        template,
        first_left=sql.FIRST_LEFT,
        batch_columns=columns,
        last_error=last_error,
        given_up=given_up,
        **fragments,
    )
    return dialect.execute(text, **{"now": 0, **given})


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
    rows = _run(dialect, sql.COUNT_CANCELLED, fragments=fragments, **given, **_GIVEN_UP) if given else ()
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
    if not _run(dialect, sql.LOCK, batch=batch_id):
        return None
    [record] = _counted(dialect, [_record_of(_run(dialect, sql.READ_ONE, batch=batch_id)[0])])
    if record.called_at is not None or record.counts.left:
        return None
    if record.finished_at is None:
        counts = record.counts
        ways: dict[str, Any] = {
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
        }
        _run(dialect, sql.FINISH, batch=batch_id, **ways)
    return record


class StoredBatches(StatementRunner, Batches):
    """The batches of ``DatabaseQueue``."""

    def open_batch(self, batch: BatchRecord) -> None:
        """Store a new batch."""
        names = ("name", "callbacks", "metadata", "kind")
        texts: dict[str, Any] = {name: getattr(batch, name) for name in names}
        with self._reached():
            _run(self._dialect, sql.OPEN, batch=batch.id, **texts)

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
            _run(self._dialect, sql.RESTORE, fragments=fragments, **given)

    def get_batch(self, batch_id: str) -> BatchRecord | None:
        """Return a batch with its counts."""
        if (digits := digits_of(batch_id)) is None:
            return None
        with self._reached():
            rows = _run(self._dialect, sql.READ_ONE, batch=digits)
            return _counted(self._dialect, [_record_of(rows[0])])[0] if rows else None

    def list_batches(self, *, before: str | None = None, limit: int = 100) -> Sequence[BatchRecord]:
        """Return batches, the newest first."""
        below = {"below": "" if before is None else "AND mine.id < %(before_id)s"}
        with self._reached():
            rows = _run(self._dialect, sql.READ_NEWEST, fragments=below, before_id=before, limit=limit)
        return [*map(_record_of, rows)]

    def count_batches(self, batches: Sequence[BatchRecord]) -> Sequence[BatchRecord]:
        """Return batches with their counts as they are now."""
        with self._reached():
            return _counted(self._dialect, batches)

    def batch_members(self, batch_id: str, kind: str, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Return the ids of members."""
        fragments = {"of_kind": sql.KINDS[kind]}
        given = {"batch": batch_id, "after": after or "0" * 32, "limit": limit}
        with self._reached():
            return [id_of(row[0]) for row in _run(self._dialect, sql.MEMBERS, fragments=fragments, **given)]

    def seal_batch(self, batch_id: str, *, is_cancelled: bool = False) -> bool:
        """Record that a batch is filled."""
        fragments = {"and_cancel": sql.AND_CANCEL if is_cancelled else ""}
        with self._reached():
            return bool(_run(self._dialect, sql.SEAL, fragments=fragments, batch=batch_id))

    def settle_batches(self, ids: Sequence[str] | None = None, members: Sequence[Job] = ()) -> Sequence[BatchRecord]:  # noqa: ARG002
        """Finish batches that have no member left."""
        fragments, given = _listed(ids or ())
        among = "" if ids is None else f"AND mine.id IN ({fragments['ids']})"
        with self._reached():
            rows = _run(self._dialect, sql.TO_SETTLE, fragments={"among": among}, limit=len(given) or LIMIT, **given)
            return [
                record
                for (batch_id,) in rows
                if (record := self._dialect.together(partial(_settled, self._dialect, batch_id)))
            ]

    def note_called(self, batch: BatchRecord) -> bool:
        """Record that the callbacks of a batch are enqueued."""
        with self._reached():
            return bool(_run(self._dialect, sql.CALLED, batch=batch.id, round=batch.round))
