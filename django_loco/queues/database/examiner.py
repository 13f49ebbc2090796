"""Examines a database that stores jobs: its clock, its connections, its file."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage
from django.db import connections

from ...core.job import Job
from ..examiner import Examiner, skew_of
from ..timeouts import apply_store_timeout
from .availability import APP
from .engines import engine_of
from .shown_rows import TABLE, shown_job_of
from .sql import statements
from .sqlite.file_path import file_of

#: The share of the connections of a server that may be in use before it is reported.
FULL = 0.9
#: Bytes that should be free on the disk of an SQLite file.
LOW_DISK_BYTES = 200 * 2**20
#: How exactly a file system knows when a file was written: a tick of the kernel, at 100 per second, twice.
TICK_SECONDS = 0.02
CONNECTIONS = """
    SELECT current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        pg_is_in_recovery(), current_setting('transaction_read_only')::bool
"""
#: The rights on tables that the user lacks, and the user. Tables that do not exist are left out.
LACKING = """
    SELECT name, privilege, quote_ident(current_user)
    FROM unnest(%s::text[]) AS name, unnest(%s::text[]) WITH ORDINALITY AS privileges (privilege, number)
    WHERE NOT has_table_privilege(to_regclass(name), privilege) ORDER BY number, name
"""
RIGHTS = ["SELECT", "INSERT", "UPDATE", "DELETE"]


class DatabaseExaminer(Examiner):
    """Examines SQLite and PostgreSQL."""

    @property
    def address(self) -> str:
        """The engine, the database and its host."""
        known = self._settings
        if self._vendor == "sqlite":
            return f"SQLite, {known['NAME']}"
        host, port = known["HOST"] or "a local socket", known["PORT"]
        return f"PostgreSQL, {known['NAME']} at {host}{f':{port}' if port else ''}"

    @property
    def setting(self) -> str:
        """The setting that has its address."""
        return f"DATABASES[{self.queue.database!r}]"

    def skew(self) -> float:
        """Return by how many seconds PostgreSQL's clock is ahead. With SQLite it is this machine's clock."""
        return 0.0 if self._vendor == "sqlite" else skew_of(self.queue.clock)

    def size(self) -> int | None:
        """Return the bytes of the table of jobs with its indexes; with SQLite, the bytes of the whole file."""
        connection: Any = connections[self.queue.database]
        with connection.cursor() as cursor:
            if self._vendor == "sqlite":
                cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
            else:
                cursor.execute("SELECT pg_total_relation_size(to_regclass(%s))", [TABLE])
            (size,) = cursor.fetchone()
        return None if size is None else int(size)

    def change_token(self) -> str | None:
        """Return a text that differs after each change of the database."""
        return change_token_of(self.queue.database)

    def expired(self, limit: int = 100) -> list[Job]:
        """Return jobs whose lease has run out. Unlike a rescue it locks no rows."""
        dialect_class, _ = engine_of(self.queue.alias, self.queue.database)
        dialect = dialect_class(self.queue.alias, self.queue.database)
        rows = dialect.execute(dialect.sql(statements.EXPIRED, skip_locked=""), now=0, limit=limit)
        return [shown_job_of(row) for row in rows]

    def messages(self, connections: int) -> Iterator[CheckMessage]:
        """Yield what is wrong with the server, or with the file."""
        if self._vendor == "sqlite":
            yield from self._of_file()
        else:
            yield from self._of_server(connections)

    @property
    def _vendor(self) -> str:
        return connections[self.queue.database].vendor

    @property
    def _settings(self) -> dict[str, Any]:
        return connections[self.queue.database].settings_dict

    def _of_server(self, wanted: int) -> Iterator[CheckMessage]:
        with connections[self.queue.database].cursor() as cursor:
            cursor.execute(CONNECTIONS)
            most, reserved, used, is_replica, is_read_only = cursor.fetchone()
        if is_replica or is_read_only:
            why = "is a replica" if is_replica else "lets this user only read (default_transaction_read_only)"
            yield checks.Error(
                f"{self.address} {why}, so no job can be stored or fetched.",
                hint=f"Set {self.setting} to the server that is written to, or let the user of the site write.",
                id="postgres.read-only",
            )
        yield from self._lacking_rights()
        usable = most - reserved
        allows = f"PostgreSQL allows {usable} connections (max_connections is {most}, {reserved} of them reserved)"
        pool = self._settings["OPTIONS"].get("pool")  # whose size loco.W002 compares
        if wanted > usable and not pool:
            yield checks.Warning(
                f"{allows}, and workers may open {wanted}.",
                hint="Raise max_connections, lower LOCO['NUM_WORKERS'], or put PgBouncer in front of it.",
                id="postgres.connections",
            )
        elif used >= FULL * usable:
            yield checks.Warning(
                f"{allows}, and {used} are in use.",
                hint="Raise max_connections, or find who holds them in pg_stat_activity.",
                id="postgres.connections",
            )
        if self._settings["CONN_MAX_AGE"] == 0 and not pool:
            yield checks.Info(
                f"{self.setting}['CONN_MAX_AGE'] is 0: each job that uses the database opens a new connection.",
                hint="Set CONN_MAX_AGE to 60 and CONN_HEALTH_CHECKS to True, or use a pool (OPTIONS['pool']).",
                id="postgres.conn-max-age",
            )

    def _lacking_rights(self) -> Iterator[CheckMessage]:
        tables = [model._meta.db_table for model in apps.get_app_config(APP).get_models()]  # noqa: SLF001
        with connections[self.queue.database].cursor() as cursor:
            cursor.execute(LACKING, [tables, RIGHTS])
            lacking = cursor.fetchall()
        if lacking:
            names, rights, user = (", ".join(dict.fromkeys(column)) for column in zip(*lacking, strict=True))
            yield checks.Error(
                f"{self.address} does not let the user {user} {rights} in all tables of django_loco.",
                hint=f"Run GRANT {rights} ON {names} TO {user}; or correct {self.setting}['USER'].",
                id="postgres.rights",
            )

    def _of_file(self) -> Iterator[CheckMessage]:
        connection: Any = connections[self.queue.database]
        if connection.is_in_memory_db():
            return
        file = file_of(connections[self.queue.database]).absolute()
        shut = [str(path) for path in (file, file.parent) if not os.access(path, os.W_OK)]
        if shut:
            yield checks.Error(
                f"This user may not write to {' and '.join(shut)}, so no job can be stored or fetched.",
                hint="Let the user of the site and of the workers write to the file and to its folder (chown, chmod).",
                id="sqlite.read-only",
            )
        if (free := shutil.disk_usage(file.parent).free) < LOW_DISK_BYTES:
            yield checks.Warning(
                f"The disk of {file} has only {free >> 20} MiB left.",
                hint="Free some space: when it is full, jobs can be neither stored nor finished.",
                id="sqlite.disk",
            )


def change_token_of(database: str) -> str | None:
    """Return a text that differs after each change of ``database``; ``None`` if its engine does not tell.

    In a transaction it is ``None``, too: the text would not show changes of the transaction itself. Raises the errors
    of Django's databases.
    """
    connection: Any = apply_store_timeout(connections[database])
    if connection.in_atomic_block:
        return None
    if connection.vendor == "postgresql":
        return _snapshot(connection)
    return _times(connection) if connection.vendor == "sqlite" and not connection.is_in_memory_db() else None


def _snapshot(connection: Any) -> str:
    """Return the server's snapshot of ended transactions: as long as it stays the same, all rows do."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_snapshot()::text")
        return str(cursor.fetchone()[0])


def _times(connection: Any) -> str:
    """Return when the files of an SQLite database were written.

    They are not opened: closing a file that SQLite has open as well would release its locks. A file system measures
    times in steps of some milliseconds, and another write may come within a step. So for ``TICK_SECONDS`` after a write
    each text differs.
    """
    path, now = file_of(connection), time.time_ns()
    times = [_written(f"{path}{suffix}") for suffix in ("", "-wal")]
    return f"{times} {now if now - max(times) < TICK_SECONDS * 1e9 else ''}"


def _written(path: str) -> int:
    """Return when a file was written, in nanoseconds since 1970; 0 if it does not exist."""
    try:
        return Path(path).stat().st_mtime_ns
    except FileNotFoundError:
        return 0
