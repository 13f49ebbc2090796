"""The statements of SQLite: they store, claim, renew and end jobs. ``session`` runs them.

SQLite has one writer at a time. A worker without work only reads, and its write transactions take well under a
millisecond.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from django.db import transaction

from ....core.job import Job, utcnow
from ....exceptions import LocoConfigurationError
from ...claim import Claim
from ...rows import (
    COLUMNS,
    LIMITED_AT,
    REQUIRED,
    UNIQUE,
    Row,
    has_only_required,
    has_only_unique_key,
    required_row_of,
    row_of,
)
from ...rows.forms import stored_time
from ..sql.index_ranges import best_of
from ..sql.statements import for_each_state
from .index_ranges import BY_RANK, CLAIM_BEST, IN_ORDER, NEWEST
from .limits import SQLiteLimits
from .session import Execute, SQLiteSession

#: The first version with ``RETURNING``.
OLDEST = (3, 35)

#: Counts the entries of the index for each state. Groups would take twice the time.
COUNT_MEMBERS = "SELECT mine.id, :numbers FROM {batches} AS mine WHERE mine.id IN ({ids})".replace(
    ":numbers", for_each_state("(SELECT count(*) FROM {job} WHERE {batch} = mine.id AND {status} = ':state')")
)
#: Stores a job that has only required fields.
INSERT_ONE = "INSERT INTO {job} ({inserted}) VALUES ({marks})"
INSERT = """
    INSERT INTO {job} ({inserted}) VALUES ({marks})
    ON CONFLICT ({backend}, {key}) WHERE {key} IS NOT NULL DO NOTHING
"""
RESTORE = "INSERT INTO {job} ({inserted}) VALUES ({marks}) ON CONFLICT DO NOTHING"
DUE_LEVELS = """
    WITH RECURSIVE {levels}
    SELECT is_async, priority FROM levels WHERE EXISTS (SELECT 1 FROM {job} WHERE {due_in_level} {wanted})
"""
CLAIM = """
    UPDATE {job} SET {claimed} WHERE rowid IN (
        SELECT rowid FROM {job}
        WHERE {backend} = %(alias)s AND {is_async} = %(is_async)s AND {status} = 'READY'
        AND {priority} = %(priority)s AND {due_at} <= {now} {wanted}
        ORDER BY {due_at}, {id} LIMIT %(room)s)
    RETURNING {columns}
"""
LAST_ERROR = "CASE WHEN json_valid({errors}) THEN json_extract({errors}, '$[#-1].exception_class_path') END"
LISTED = "SELECT {fields} FROM json_each(%(payload)s)"


class SQLiteDialect(SQLiteSession, SQLiteLimits):
    """Statements for SQLite. The clock is that of this machine, because other machines cannot use the file."""

    random_text: ClassVar[str] = "lower(hex(randomblob(16)))"
    contains: ClassVar[str] = "instr"
    same: ClassVar[str] = "IS"
    last_error: ClassVar[str] = LAST_ERROR
    by_index: ClassVar[str] = "INDEXED BY {index}"
    id_apart: ClassVar[str] = "+{}"
    newest_of_ranges: ClassVar[str] = NEWEST
    count_members: ClassVar[str] = COUNT_MEMBERS
    time_parameter: ClassVar[str] = "%({})s"
    tag_of_word: ClassVar[str] = "json_extract(%({})s, '$')"
    fence: ClassVar[str] = "AND {job}.{token} = held.token AND {job}.{status} = 'RUNNING'"

    def __init__(self, alias: str, database: str) -> None:
        """Raises ``LocoConfigurationError`` if Python was built with an older SQLite."""
        super().__init__(alias, database)
        connection: Any = self.connection
        found = connection.Database
        if found.sqlite_version_info < OLDEST:
            raise LocoConfigurationError(
                f"TASKS[{alias!r}] keeps its jobs in DATABASES[{database!r}], for which SQLite {found.sqlite_version} "
                "is too old; it must be 3.35 or later. Upgrade it, or use PostgreSQL."
            )

    def insert(self, jobs: Sequence[Job]) -> set[str]:
        """Store new jobs in one transaction."""
        if len(jobs) == 1 and has_only_required(jobs[0]):
            with self.connection.cursor() as cursor:
                cursor.execute(self._insert_one, (*required_row_of(jobs[0]).values(), _due_at(jobs[0])))
            return {jobs[0].id}
        together = transaction.atomic(using=self.database, savepoint=False) if len(jobs) > 1 else nullcontext()
        with together, self.connection.cursor() as cursor:
            keyless = [job for job in jobs if job.key is None and job.unique_key is None]
            if keyless:
                cursor.executemany(self._insert, [_new_row(job) for job in keyless])
            stored = {job.id for job in keyless}
            if len(keyless) < len(jobs):
                keyed = [job for job in jobs if job.id not in stored]
                stored.update(job.id for job in keyed if cursor.execute(*self._keyed_insert_of(job)).rowcount)
        return stored

    def restore(self, jobs: Sequence[Job]) -> set[str]:
        """Store jobs as they are, in one transaction."""
        with transaction.atomic(using=self.database, savepoint=False), self.connection.cursor() as cursor:
            return {job.id for job in jobs if cursor.execute(self._restore, _new_row(job)).rowcount}

    def claim_in_order(self, claim: Claim) -> list[Row]:
        """Take jobs level by level while there is room. Writes nothing if nothing is due."""
        wanted, parameters = self.wanted(claim)
        room = {False: claim.threads, True: claim.coroutines}
        due = self.execute(self.sql(DUE_LEVELS, wanted=wanted), now=claim.ahead, **parameters)
        levels = [(bool(is_async), priority) for is_async, priority in due if room[bool(is_async)] > 0]
        if not levels:
            return []
        sql = self.sql(CLAIM, wanted=wanted)
        given = parameters | self.claim_parameters(claim)

        def take(execute: Execute) -> Iterator[Row]:
            left = dict(room)
            for is_async, priority in levels:
                taken = execute(sql, is_async=is_async, priority=priority, room=left[is_async], **given)
                left[is_async] -= len(taken)
                yield from taken

        return self._taken(take)

    def claim_in_ranges(
        self, claim: Claim, levels: Sequence[Row], shape: dict[str, str], **parameters: Any
    ) -> list[Row]:
        """Take the best of both kinds of jobs."""
        sql = self.sql(CLAIM_BEST, **shape, **(BY_RANK if claim.ageing else IN_ORDER))
        copies = max(1, len(claim.tags or ()))  # a job is in a range of each of its tags
        parameters |= self.claim_parameters(claim)

        def take(execute: Execute) -> Iterator[Row]:
            for is_async, room in ((False, claim.threads), (True, claim.coroutines)):
                if of_kind := [level for level in levels if level[0] == is_async]:
                    number = {"room": room, "entries": room * copies}
                    best = of_kind if claim.ageing else best_of(of_kind, room * copies)
                    yield from execute(sql, levels=json.dumps(best), **number, **parameters)

        return self._taken(take)

    def listed(self, fields: Sequence[str]) -> str:
        """Return a row for each object in the list."""
        return LISTED.format(fields=", ".join(f"json_extract(value, '$.{field}') AS {field}" for field in fields))

    held = listed

    def at(self, moment: str) -> str:
        """Return the parameter itself."""
        return f"%({moment})s"

    def wall_time(self) -> str:
        """Return the time now as it is stored."""
        return self.value(0)

    def value(self, seconds: float) -> str:
        """Return the time as it is stored, so that texts are compared."""
        return stored_time(utcnow() + timedelta(seconds=seconds))

    def read(self, column: str, kind: str) -> str:
        """Return times as they are stored, without the converters that Django has installed."""
        return f"CAST({column} AS TEXT)" if kind == "DateTimeField" else column

    @cached_property
    def _insert(self) -> str:
        return self._insert_of(INSERT, COLUMNS)

    @cached_property
    def _restore(self) -> str:
        return self._insert_of(RESTORE, COLUMNS)

    def _keyed_insert_of(self, job: Job) -> tuple[str, Row]:
        if has_only_unique_key(job):
            unique = (job.unique_key, job.unique_until)
            return self._insert_unique, (*required_row_of(job).values(), *unique, _due_at(job))
        return self._insert if job.unique_key is None else self._restore, _new_row(job)

    @cached_property
    def _insert_unique(self) -> str:
        return self._insert_of(RESTORE, (*REQUIRED, *UNIQUE))

    @cached_property
    def _insert_one(self) -> str:
        return self._insert_of(INSERT_ONE, REQUIRED)

    def _insert_of(self, template: str, fields: Sequence[str]) -> str:
        columns = (*fields, "due_at")
        inserted = ", ".join(self.names[column] for column in columns)
        return self.sql(template, inserted=inserted, marks=", ".join(["%s"] * len(columns)))


def _new_row(job: Job) -> Row:
    return (*row_of(job), _due_at(job))


def _due_at(job: Job) -> str:
    if job.limit_key is not None:
        return stored_time(LIMITED_AT)
    # A clock that was set back meanwhile does not delay a job that is to run at once.
    return stored_time(job.run_after or min(job.enqueued_at, utcnow()))
