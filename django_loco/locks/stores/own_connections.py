"""Connections for locks alone, apart from the connections with the project's transactions.

A lock that is part of a transaction would be invisible to others until the commit, and gone after a rollback.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

from ...core import running_tests
from ...queues.database.sqlite.connections import close_if_replaced, wait_no_longer, was_busy
from ...queues.timeouts import apply_store_timeout

#: The maximum number of connections of a process. A call takes a millisecond.
MAX_CONNECTIONS = 4


class OwnConnections:
    """A few connections to one database, in autocommit mode, each for one call at a time."""

    def __init__(self, database: str, name: str = "", first: Sequence[str] = ()) -> None:
        """Prepare the connections, without opening one.

        ``database`` is the alias in ``DATABASES``; ``name`` replaces its ``NAME``. A new connection begins with the
        statements ``first``.
        """
        self._database, self._name, self._first = database, name, first
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._idle: list[BaseDatabaseWrapper] = []

    @contextmanager
    def borrowed(self) -> Iterator[BaseDatabaseWrapper]:
        """Lend a connection, which is closed if the block raises. Django's errors pass through."""
        with self._room:
            connection = self._taken()
            try:
                with connection.wrap_database_errors:
                    self._begin(apply_store_timeout(connection))
                    yield connection
            except BaseException:
                connection.close()
                raise
            if running_tests.is_on():
                connection.close()  # a test database cannot be dropped while somebody is connected
            else:
                self._idle.append(connection)

    def run(self, sql: str, parameters: tuple[Any, ...]) -> tuple[int, list[tuple[Any, ...]]]:
        """Run a statement; return the number of rows it has found or changed, and the rows if it returns any.

        It runs again on a new connection if an idle one was cut, but not if it has waited for another writer.
        """
        was_idle = bool(self._idle)
        try:
            return self._run_once(sql, parameters)
        except (DatabaseError, InterfaceError) as error:
            if not was_idle or was_busy(error):
                raise
        self.close()
        return self._run_once(sql, parameters)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _run_once(self, sql: str, parameters: tuple[Any, ...]) -> tuple[int, list[tuple[Any, ...]]]:
        with self.borrowed() as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.rowcount, cursor.fetchall() if cursor.description else []

    def _taken(self) -> BaseDatabaseWrapper:
        connection = self._idle.pop() if self._idle else self._made()
        close_if_replaced(connection)
        return connection

    def _begin(self, connection: BaseDatabaseWrapper) -> None:
        is_new = connection.connection is None
        connection.ensure_connection()
        if connection.vendor == "sqlite":
            wait_no_longer(connection)
        if is_new and self._first:
            with connection.cursor() as cursor:
                for statement in self._first:
                    cursor.execute(statement)

    def _made(self) -> BaseDatabaseWrapper:
        given = connections[self._database].settings_dict
        options = {name: value for name, value in given["OPTIONS"].items() if name not in ("pool", "isolation_level")}
        chosen = {**given, "OPTIONS": options, "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False}
        if self._name:
            chosen["NAME"] = self._name
        connection: BaseDatabaseWrapper = load_backend(given["ENGINE"]).DatabaseWrapper(chosen, self._database)
        connection.inc_thread_sharing()
        return connection
