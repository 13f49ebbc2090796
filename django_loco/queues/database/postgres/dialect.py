"""The statements of PostgreSQL: they store, claim, renew and end jobs. ``session`` runs them.

Several machines share a server, so leases and due times are judged by its clock. A job that should run
at once is due when it arrives, or at the time of the enqueuing machine if that is earlier. So a machine whose clock is
ahead does not delay its jobs.

Workers skip rows that somebody else has locked (``SKIP LOCKED``): another worker that takes the job, or a transaction
that has changed it and stays open. Statements that write several held jobs lock them in
the order of their ids; otherwise a finish and a renewal could deadlock.

Enqueuing wakes workers with ``NOTIFY``, see ``session``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, ClassVar

from ....core import running_tests
from ....core.job import READY, Job, Outcome
from ...claim import Claim
from ...rows import COLUMNS, REQUIRED, UNIQUE, Row, has_only_required, has_only_unique_key, required_row_of, row_of
from ...timeouts import has_store_timeout
from ..dialect import CLAIM_COLUMNS, IS_ASYNC, is_due
from ..shown_rows import ids
from ..sql.index_ranges import best_of
from ..sql.statements import FINISH
from . import statements
from .index_ranges import BY_RANK, CLAIM_BEST, FEW, IN_ORDER, LEVEL, MORE, MORE_OF_RANGE, NEWEST
from .limits import NEW_DUE_AT, PostgresLimits
from .session import PostgresSession

#: The PostgreSQL types of columns that are not text, by their Django field types.
SQL_TYPES = {
    "UUIDField": "uuid",
    "SmallIntegerField": "smallint",
    "BooleanField": "boolean",
    "DateTimeField": "timestamp",
}


class PostgresDialect(PostgresSession, PostgresLimits):
    """Statements for PostgreSQL 14 or later."""

    random_text: ClassVar[str] = "replace(gen_random_uuid()::text, '-', '')"
    contains: ClassVar[str] = "strpos"
    id_now: ClassVar[str] = statements.ID_NOW
    last_error: ClassVar[str] = statements.LAST_ERROR
    tag_of_word: ClassVar[str] = "%({})s"
    time_parameter: ClassVar[str] = "CAST(%({})s AS timestamp) AT TIME ZONE 'UTC'"
    few: ClassVar[str] = FEW
    is_in: ClassVar[str] = "= ANY (ARRAY({}))"
    id_apart: ClassVar[str] = "coalesce({0}, {0})"
    newest_of_ranges: ClassVar[str] = NEWEST
    count_members: ClassVar[str] = statements.COUNT_MEMBERS
    skip_locked: ClassVar[str] = "FOR UPDATE SKIP LOCKED"
    same: ClassVar[str] = "IS NOT DISTINCT FROM"
    version: ClassVar[str] = "{table}xmin::text || {table}ctid::text"  # its transaction, and its place
    all_columns: ClassVar[str] = "*, xmin, ctid"
    lock_mine: ClassVar[str] = "ORDER BY mine.{id} FOR UPDATE OF mine"

    def insert(self, jobs: Sequence[Job]) -> set[str]:
        """Store new jobs in one statement, in the order of their keys: two calls that share keys must not deadlock."""
        if len(jobs) == 1 and has_only_required(jobs[0]):
            plain, notifying = self._insert_one
            self.write(plain, wakes=True, notifying=notifying, **required_row_of(jobs[0]))
            return {jobs[0].id}
        if len(jobs) == 1 and has_only_unique_key(jobs[0]):
            unique = {name: getattr(jobs[0], name) for name in UNIQUE}
            return ids(self.write(self._insert_unique, wakes=True, **required_row_of(jobs[0]), **unique))
        sql = self._insert_of(statements.INSERT if all(job.unique_key is None for job in jobs) else statements.RESTORE)
        return ids(self.write(sql, wakes=is_due(job.run_after for job in jobs), payload=_in_order_of_keys(jobs)))

    def restore(self, jobs: Sequence[Job]) -> set[str]:
        """Store jobs as they are, in one statement."""
        wakes = is_due(job.run_after for job in jobs if job.status == READY)
        return ids(self.write(self._insert_of(statements.RESTORE), wakes=wakes, payload=_in_order_of_keys(jobs)))

    def claim(self, claim: Claim) -> list[Row]:
        """Hand due jobs to a worker, with prepared statements if the last claim of this thread had room for more."""
        with self.preparing() if self._thread.had_room else nullcontext():
            rows = super().claim(claim)
        coroutines = sum(row[IS_ASYNC] for row in rows)
        found = (len(rows) - coroutines, claim.threads), (coroutines, claim.coroutines)
        self._thread.had_room = all(number < room or room <= 0 for number, room in found)
        return rows

    def finish(self, outcomes: Sequence[Outcome], statement: str = FINISH, more: tuple[str, ...] = ()) -> set[str]:
        """Store how jobs ended, with a prepared statement if the last claim of this thread had room for more."""
        with self.preparing() if self._thread.had_room else nullcontext():
            return super().finish(outcomes, statement, more)

    def claim_in_order(self, claim: Claim) -> list[Row]:
        """Take due jobs in one statement."""
        wanted, parameters = self.wanted(claim)
        room = max(claim.threads, claim.coroutines)
        sql = self.sql(statements.CLAIM, wanted=wanted)
        return self.execute(sql, room=room, **self.claim_parameters(claim), **parameters)

    def claim_in_ranges(
        self, claim: Claim, levels: Sequence[Row], shape: dict[str, str], **parameters: Any
    ) -> list[Row]:
        """Take the best candidates. If other workers have taken all of them, try more."""
        sql = self.sql(CLAIM_BEST, **shape, **(BY_RANK if claim.ageing else IN_ORDER))
        copies = max(1, len(claim.tags or ()))  # a job is in a range of each tag
        room, best = max(claim.threads, claim.coroutines), _best(claim, levels, copies)
        for more in MORE:
            payload = json.dumps([dict(zip(LEVEL, level, strict=True)) for level in best])
            number = {"entries": room + max(MORE_OF_RANGE, more // len(best)), "candidates": (room + more) * copies}
            if rows := self.execute(sql, levels=payload, **number, **self.claim_parameters(claim), **parameters):
                return rows
            best = levels
        return []

    def clock(self) -> float:
        """Return the seconds since 1970 on the server's clock."""
        [(seconds,)] = self.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(self.value(seconds))

    def listed(self, fields: Sequence[str]) -> str:
        """Return a row for each object in the list."""
        return self.text(statements.LISTED, fields=self._shown(fields), typed=self._typed(fields))

    def held(self, fields: Sequence[str]) -> str:
        """Return the listed jobs that are held with their tokens, and lock them; a worker skips locked ones."""
        locked = statements.LOCKED_IF_FREE if has_store_timeout() else statements.LOCKED
        return self.sql(locked, fields=self._shown(fields), typed=self._typed(fields))

    def extend(self, jobs: Sequence[Job], lease: float) -> set[str]:
        """Renew leases in one statement that waits for no locks."""
        payload = json.dumps([{"id": job.id, "token": job.token} for job in jobs])
        held = self.sql(statements.SELECT_HELD, fields="payload.id", typed=self._typed(CLAIM_COLUMNS))
        return ids(self.write(self.sql(statements.EXTEND, held=held), payload=payload, until=lease))

    def at(self, moment: str) -> str:
        """Return the SQL of the time by the database's clock, at the start of the statement, not of the transaction."""
        return f"(statement_timestamp() + make_interval(secs => %({moment})s))"

    def value(self, seconds: float) -> float:
        """Return the distance from now by the database's clock, which a test cannot move."""
        shift = running_tests.clock_shift
        return seconds if shift is None else seconds + shift.total_seconds()

    def read(self, column: str, kind: str) -> str:
        """Return times in UTC without a zone; otherwise they would have the time zone of the connection."""
        return statements.READ_TIME.format(column=column) if kind == "DateTimeField" else column

    def _insert_of(self, template: str) -> str:
        inserted, values = self._inserted
        return self.sql(template, inserted=inserted, values=values, typed=self._typed_columns, new_due_at=NEW_DUE_AT)

    @cached_property
    def _inserted(self) -> tuple[str, str]:
        return ", ".join(self.names[column] for column in COLUMNS), ", ".join(map(self._value, COLUMNS))

    @cached_property
    def _typed_columns(self) -> str:
        return self._typed(COLUMNS)

    @cached_property
    def _insert_one(self) -> tuple[str, str]:
        plain, notifying = (
            self._insert_one_of(text, REQUIRED) for text in (statements.INSERT_ONE, statements.INSERT_ONE_NOTIFYING)
        )
        return plain, notifying

    @cached_property
    def _insert_unique(self) -> str:
        return self._insert_one_of(statements.INSERT_UNIQUE, (*REQUIRED, *UNIQUE))

    def _insert_one_of(self, template: str, fields: Sequence[str]) -> str:
        inserted = ", ".join(self.names[column] for column in fields)
        return self.sql(template, inserted=inserted, values=", ".join(map(self._parameter, fields)))

    def _parameter(self, field: str) -> str:
        if self.column_types[field] == "DateTimeField":
            return self.time_parameter.format(field)
        return f"%({field})s"

    def _shown(self, fields: Sequence[str]) -> str:
        return ", ".join(f"{self._value(field, 'payload.')} AS {field}" for field in fields)

    def _typed(self, fields: Sequence[str]) -> str:
        return ", ".join(f"{field} {SQL_TYPES.get(self._kind(field), 'text')}" for field in fields)

    def _kind(self, field: str) -> str:
        return self.column_types.get(field.removeprefix("was_"), "TextField")

    def _value(self, field: str, source: str = "") -> str:
        zone = " AT TIME ZONE 'UTC'" if self._kind(field) == "DateTimeField" else ""
        return f"{source}{field}{zone}"

    def claim_parameters(self, claim: Claim) -> dict[str, Any]:
        """Add the room for jobs of each kind to the parameters of all engines."""
        return super().claim_parameters(claim) | {"threads": claim.threads, "coroutines": claim.coroutines}


def _in_order_of_keys(jobs: Sequence[Job]) -> str:
    """Return ``jobs`` as JSON, sorted by key, or by id without a key; jobs with the same keys keep their order."""
    in_order = sorted(jobs, key=lambda job: (job.key or "", job.unique_key or ("" if job.key else job.id)))
    return json.dumps([dict(zip(COLUMNS, row_of(job), strict=True)) for job in in_order])


def _best(claim: Claim, levels: Sequence[Row], copies: int) -> Sequence[Row]:
    if claim.ageing:
        return [level for level in levels if (claim.coroutines if level[0] else claim.threads) > 0]
    of_threads, of_coroutines = ([level for level in levels if level[0] is kind] for kind in (False, True))
    return [*best_of(of_threads, claim.threads * copies), *best_of(of_coroutines, claim.coroutines * copies)]
