"""Locks in a table, on PostgreSQL and SQLite.

SQLite lets one connection write at a time. A claim inside of ``atomic()`` would wait for the transaction of its own
caller. So locks are in a file of their own beside the database, which is made when it is first used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.db import DatabaseError, InterfaceError, connections

from ...exceptions import QueueUnavailable
from ...queues.database.migrated import is_of_missing_migration, migrate_command
from ..state import LockState
from .base import LockStore, Stored
from .own_connections import OwnConnections

#: The suffix of the file with the locks of a SQLite database.
SUFFIX = "-locks"
#: PostgreSQL's codes for ``serialization_failure`` and ``deadlock_detected``: somebody else was faster.
CONFLICT = ("40001", "40P01")
#: The time between two searches for locks that nobody uses any more.
SWEEP_SECONDS = 600.0

INSERT = """
    INSERT INTO django_loco_lock (backend, name, state, held_until, memory_until) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (backend, name) DO NOTHING
"""
UPDATE = """
    UPDATE django_loco_lock SET state = %s, held_until = %s, memory_until = %s
    WHERE backend = %s AND name = %s AND state = %s
"""
HELD = "SELECT name, state FROM django_loco_lock WHERE backend = %s AND held_until IS NOT NULL ORDER BY name"
SWEEP = "DELETE FROM django_loco_lock WHERE memory_until < %s"
READ = "SELECT state FROM django_loco_lock WHERE backend = %s AND name = %s"
READ_WITH_CLOCK = """
    SELECT (SELECT state FROM django_loco_lock WHERE backend = %s AND name = %s),
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
"""


class DatabaseLocks(LockStore):
    """Locks of one alias of ``TASKS``. This is the part that engines share."""

    hint: ClassVar[str] = ""

    def __init__(self, alias: str, database: str, name: str = "") -> None:
        """``alias`` is the one in ``TASKS``, ``database`` the one in ``DATABASES``."""
        self._alias, self._database = alias, database
        self._connections = OwnConnections(database, name)
        self._next_sweep = time.monotonic() + SWEEP_SECONDS

    def swap(self, name: str, before: str | None, after: LockState, now: int) -> bool:
        """Store ``after`` if the text is still ``before``."""
        values = after.text(), after.holder and after.holder.until, after.memory_until(now)
        if before is None:
            changed, _ = self._run(INSERT, self._alias, name, *values)
        else:
            changed, _ = self._run(UPDATE, *values, self._alias, name, before)
        self._sweep_now_and_then(now)
        return changed == 1

    def held(self) -> Sequence[tuple[str, Stored]]:
        """Return the rows with a holder."""
        now = self._now()
        return [(name, Stored(text, now)) for name, text in self._run(HELD, self._alias)[1]]

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._connections.close()

    def _now(self) -> int:
        return time.time_ns() // 1000

    def _sweep_now_and_then(self, now: int) -> None:
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_SECONDS
            self._run(SWEEP, now)

    def _run(self, sql: str, *parameters: Any) -> tuple[int, list[tuple[Any, ...]]]:
        with self._explained():
            try:
                return self._connections.run(sql, parameters)
            except DatabaseError as error:
                if getattr(error.__cause__, "sqlstate", None) in CONFLICT:
                    return 0, []
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise ``QueueUnavailable`` for errors of the engine."""
        try:
            yield
        except (DatabaseError, InterfaceError) as error:
            where = f"The locks of TASKS[{self._alias!r}] are in DATABASES[{self._database!r}]{self.hint}, "
            if is_of_missing_migration(error):
                command = migrate_command(self._database)
                text = f"{where}where migrations of django_loco are missing: run {command}."
                raise QueueUnavailable(text) from error
            text = f"{where}which cannot be used now: {str(error).strip() or type(error).__name__}"
            raise QueueUnavailable(text) from error


class PostgresLocks(DatabaseLocks):
    """For a database that machines share: leases are judged by its clock."""

    longest_poll_seconds = 0.1

    def read(self, name: str) -> Stored:
        """Return what is stored of a lock."""
        _, [(text, now)] = self._run(READ_WITH_CLOCK, self._alias, name)
        return Stored(text, now)

    def _now(self) -> int:
        _, [(_, now)] = self._run(READ_WITH_CLOCK, self._alias, "")
        return int(now)


class SQLiteLocks(DatabaseLocks):
    """For a file of this machine: leases are judged by its clock."""

    longest_poll_seconds = 0.02  # a look takes some microseconds
    hint = f" (in a file of their own, {SUFFIX!r})"

    def __init__(self, alias: str, database: str) -> None:
        super().__init__(alias, database, f"{path_of(database)}{SUFFIX}")
        self._is_made = False

    def read(self, name: str) -> Stored:
        """Return what is stored of a lock."""
        _, rows = self._run(READ, self._alias, name)
        return Stored(rows[0][0] if rows else None, self._now())

    def _run(self, sql: str, *parameters: Any) -> tuple[int, list[tuple[Any, ...]]]:
        if not self._is_made:
            for statement in TABLES:
                super()._run(statement)
            self._is_made = True
        return super()._run(sql, *parameters)


#: The table of ``models.StoredLock``, for the file of a SQLite database.
TABLES = (
    """
    CREATE TABLE IF NOT EXISTS django_loco_lock (
        backend text NOT NULL, name text NOT NULL, state text NOT NULL,
        held_until bigint NULL, memory_until bigint NOT NULL, PRIMARY KEY (backend, name)
    )
    """,
    "CREATE INDEX IF NOT EXISTS django_loco_lock_old ON django_loco_lock (memory_until)",
)


def path_of(database: str) -> str:
    """Return the path of a SQLite database."""
    name = str(connections[database].settings_dict["NAME"])
    return urlsplit(name).path if name.startswith("file:") else name
