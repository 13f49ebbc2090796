"""Changes that people make to jobs that no worker holds: cancel, retry, edit, delete.

A change is fenced by the job itself: it touches a row only if the row is as the job was read. All fields are compared,
so that no transition is missed:

* A fetch makes the job ``RUNNING``, and such a row is never touched. It also sets ``last_attempted_at``, so the job
  differs even if it was finished, retried, handed back or rescued since.
* Another change sets some field to another value. If it has set it back since, the job is again as it was read.

The texts of all jobs of a batch travel as one JSON text. Fields that no job of the batch changes are sent once, as they
were; the others twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...core.job import READY, Job
from ..base import KEY_MEMORY_SECONDS, Change
from ..rows import COLUMNS, row_of, stored_time
from .dialect import CLAIM_COLUMNS, Dialect, is_due
from .shown_rows import ids
from .statements import CHANGE, CHOSEN, DELETE, LOST, UNCHANGED

#: The fields that prove that a job is as it was read, and those of them that may change.
FENCE = tuple(name for name in COLUMNS if name not in ("id", "backend", "token", "worker_id"))
CHANGEABLE = tuple(name for name in FENCE if name != "key")
#: The fields that decide when a job is due. They are always sent.
DECIDING = ("status", "run_after")

Stored = Mapping[str, Any]


def change(dialect: Dialect, changes: Sequence[Change]) -> set[str]:
    """Make those ``changes`` whose job is as it was read; return the ids of these jobs."""
    stored = [(stored_of(each.before), each.after) for each in changes]
    after = [(before, stored_of(job), job) for before, job in stored if job is not None]
    changed = _change(dialect, after) if after else set()
    deleted = [before for before, job in stored if job is None]
    return changed | _delete(dialect, deleted) if deleted else changed


def lost(dialect: Dialect, jobs: Sequence[Job]) -> set[str]:
    """Return the ids of ``jobs`` that are no longer held with their tokens."""
    payload = json.dumps([{"id": job.id, "token": job.token} for job in jobs])
    sql = dialect.sql(LOST, listed=dialect.listed(CLAIM_COLUMNS))
    return {job.id for job in jobs} - ids(dialect.execute(sql, payload=payload))


def stored_of(job: Job) -> dict[str, Any]:
    """Return the stored form of each field of ``job``."""
    return dict(zip(COLUMNS, row_of(job), strict=True))


def _change(dialect: Dialect, changes: Sequence[tuple[Stored, Stored, Job]]) -> set[str]:
    differing = {name for before, after, _ in changes for name in CHANGEABLE if before[name] != after[name]}
    fields = [name for name in CHANGEABLE if name in differing.union(DECIDING)]
    payload = [
        {
            "id": before["id"],
            "due_at": _due_at(before, after, job),
            **_was(before),
            **{name: after[name] for name in fields},
        }
        for before, after, job in changes
    ]
    sql = dialect.sql(
        CHANGE,
        unchanged=_unchanged(dialect, ("due_at", *fields)),
        set=", ".join(f"{dialect.names[name]} = held.{name}" for name in fields),
    )
    wakes = is_due(job.run_after for _, _, job in changes if job.status == READY)
    return ids(dialect.write(sql, wakes=wakes, is_durable=True, payload=json.dumps(payload), now=0))


def _delete(dialect: Dialect, jobs: Sequence[Stored]) -> set[str]:
    payload = json.dumps([{"id": before["id"], **_was(before)} for before in jobs])
    chosen = dialect.sql(CHOSEN, unchanged=_unchanged(dialect, ()))
    sql = dialect.sql(DELETE, in_chosen=dialect.is_in.format(chosen))
    return ids(dialect.write(sql, is_durable=True, payload=payload, keys_before=-KEY_MEMORY_SECONDS))


def _due_at(before: Stored, after: Stored, job: Job) -> str | None:
    """Return when ``job`` is due; ``None`` if this does not change.

    A job that waits keeps its time, because a clock that was put back may have made it due earlier than its fields say.
    """
    if job.status != READY or all(before[name] == after[name] for name in DECIDING):
        return None
    return stored_time(job.due_at)


def _was(before: Stored) -> dict[str, Any]:
    return {f"was_{name}": before[name] for name in FENCE}


def _unchanged(dialect: Dialect, fields: Iterable[str]) -> str:
    listed = dialect.listed(["id", *fields, *(f"was_{name}" for name in FENCE)])
    same = " AND ".join(f"mine.{dialect.names[name]} {dialect.same} listed.was_{name}" for name in FENCE)
    return dialect.sql(UNCHANGED, listed=listed, same=same)
