"""The statements of PostgreSQL: they store, claim, renew and end jobs.

Several machines share a server, so leases and due times are judged by its clock. A job that should run
at once is due when it arrives, or at the time of the enqueuing machine if that is earlier. So a machine whose clock is
ahead does not delay its jobs.

Workers skip rows that somebody else has locked (``SKIP LOCKED``): another worker that takes the job, or a transaction
that has changed it and stays open. Statements that write several held jobs lock them in
the order of their ids; otherwise a finish and a renewal could deadlock.

Enqueuing wakes workers with ``NOTIFY``, see ``listener``.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from itertools import count
from typing import Any, ClassVar, cast

from django.db import Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from ....core import running_tests
from ....core.job import READY, Job, Outcome
from ....exceptions import QueueUnavailable
from ....log.safe import get_logger
from ...claim import Claim
from ...rows import COLUMNS, REQUIRED, UNIQUE, Row, has_only_required, has_only_unique_key, required_row_of, row_of
from ...timeouts import apply_store_timeout, has_store_timeout
from ..availability import is_conflict
from ..dialect import CLAIM_COLUMNS, IS_ASYNC, T, is_due
from ..shown_rows import ids
from ..sql.index_ranges import best_of
from ..sql.statements import FINISH
from . import statements
from .index_ranges import BY_RANK, CLAIM_BEST, FEW, IN_ORDER, LEVEL, MORE, MORE_OF_RANGE, NEWEST
from .limits import NEW_DUE_AT, PostgresLimits
from .listener import Debounce, channel_of, text_of
from .prepared import PreparedStatements

logger = get_logger("django_loco.queues")

#: The number of retries after a conflict, and the pause before the second one in seconds, which then doubles.
CONFLICTS, CONFLICT_PAUSE_SECONDS = 8, 0.005

#: The PostgreSQL types of columns that are not text, by their Django field types.
SQL_TYPES = {
    "UUIDField": "uuid",
    "SmallIntegerField": "smallint",
    "BooleanField": "boolean",
    "DateTimeField": "timestamp",
}


class PostgresDialect(PostgresLimits):
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

    def __init__(self, alias: str, database: str) -> None:
        """``alias`` is the one in ``TASKS``, ``database`` the one in ``DATABASES``."""
        super().__init__(alias, database)
        self._debounce = Debounce()
        self._channel = channel_of(alias)
        self._prepared = PreparedStatements()
        self._thread = _ThreadState()

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The calling thread's connection, which obeys the thread's store timeout."""
        return apply_store_timeout(super().connection)

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

    def decide(self, act: Callable[[], T]) -> T:
        """Prepare the statements. They read jobs by the index of limited jobs, or by their ids."""
        with self.preparing():
            try:
                return super().decide(act)
            except Error:
                if not self._thread.prepares or not self._prepared.is_off:
                    raise
        return super().decide(act)  # a prepared statement was gone

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Prepare the statements of the block, unless the caller has a transaction: an error would break it."""
        before = self._thread.prepares
        self._thread.prepares = not self._prepared.is_off and self.connection.get_autocommit()
        try:
            yield
        finally:
            self._thread.prepares = before

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

    def write(
        self,
        sql: str,
        *,
        wakes: bool = False,
        is_durable: bool = False,  # noqa: ARG002 - the server decides
        notifying: str = "",
        **parameters: Any,
    ) -> list[Row]:
        """Run a statement that returns ids, with a notification if it ``wakes`` workers and no window is open.

        ``notifying`` is the statement with a notification, if it does not return ids.
        """
        if not wakes:
            return self.execute(sql, **parameters)
        notifying = notifying or self.sql(statements.NOTIFYING, sql=sql)
        # In a transaction PostgreSQL sends equal notifications once, at the commit, and that time is unknown.
        if not self.connection.get_autocommit():
            return self._notify(notifying, 0, **parameters)
        if window := self._debounce.begin():
            try:
                rows = self._notify(notifying, window, **parameters)
            except BaseException:
                self._debounce.forget()
                raise
            if not rows:  # nothing was changed, so nothing was announced
                self._debounce.forget()
            return rows
        rows = self.execute(sql, **parameters)
        if window := self._debounce.begin():  # the window ended while the statement ran
            try:
                self._notify(statements.NOTIFY, window)
            except Error as error:  # the statement is committed; workers look each second in any case
                self._debounce.forget()
                logger.debug("TASKS[%r]: workers could not be notified: %s", self.alias, error)
        return rows

    def execute(self, sql: str, **parameters: Any) -> list[Row]:
        """Run a statement. Outside of a transaction, run it again after a conflict with other transactions.

        Conflicts happen in projects that use ``REPEATABLE READ`` or ``SERIALIZABLE``.
        """
        return self._repeated(partial(self._execute_once, sql, **parameters))

    def together(self, act: Callable[[], T], *, savepoint: bool = False) -> T:
        """Run ``act`` in a transaction. If this has a transaction of its own, run it again after any conflict.

        A conflict may also come from the commit. The next try has PostgreSQL's default level of isolation, in which
        only a deadlock is a conflict.
        """
        tries = count()

        def begun() -> T:
            if next(tries):
                self._execute_once(statements.READ_COMMITTED)
            return act()

        return self._repeated(partial(super().together, begun, savepoint=savepoint))

    def _repeated(self, act: Callable[[], T]) -> T:
        for number in range(CONFLICTS):
            try:
                return act()
            except (OperationalError, QueueUnavailable) as error:
                if not is_conflict(error) or not self.connection.get_autocommit():
                    raise
            time.sleep(random.random() * CONFLICT_PAUSE_SECONDS * 2**number)  # noqa: S311 - jitter
        return act()

    def _execute_once(self, sql: str, **parameters: Any) -> list[Row]:
        if self._thread.prepares and running_tests.clock_shift is None:
            with self.connection.cursor() as cursor:
                if self._prepared.run(cursor, sql, {"alias": self.alias, **parameters}):
                    return cast("list[Row]", cursor.fetchall() if cursor.description else [])
        return super().execute(sql, **parameters)

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

    def _notify(self, sql: str, window: float, **parameters: Any) -> list[Row]:
        return self.execute(sql, channel=self._channel, window=text_of(window), **parameters)


class _ThreadState(threading.local):
    """The state of one thread."""

    prepares = False
    """Whether it prepares its statements."""

    had_room = False
    """Whether its last claim had room for more jobs than were due."""


def _in_order_of_keys(jobs: Sequence[Job]) -> str:
    """Return ``jobs`` as JSON, sorted by key, or by id without a key; jobs with the same keys keep their order."""
    in_order = sorted(jobs, key=lambda job: (job.key or "", job.unique_key or ("" if job.key else job.id)))
    return json.dumps([dict(zip(COLUMNS, row_of(job), strict=True)) for job in in_order])


def _best(claim: Claim, levels: Sequence[Row], copies: int) -> Sequence[Row]:
    if claim.ageing:
        return [level for level in levels if (claim.coroutines if level[0] else claim.threads) > 0]
    of_threads, of_coroutines = ([level for level in levels if level[0] is kind] for kind in (False, True))
    return [*best_of(of_threads, claim.threads * copies), *best_of(of_coroutines, claim.coroutines * copies)]
