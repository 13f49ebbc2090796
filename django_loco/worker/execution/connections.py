"""Tidies the database connections of threads that run jobs, before and after each job; protects tests' transactions.

A fork that a job makes leaves the connections to its parent process and opens new ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ...core.threads.stray_forks import is_own_thread
from ...log.safe import get_logger
from ...queues.database.sqlite.connections import close_if_replaced

logger = get_logger("django_loco.worker")

#: Connections and pools that this fork has inherited. They stay referenced: if their objects were deleted, some drivers
#: would end the session and SQLite would roll back, and both belong to the parent process.
_inherited: list[object] = []


def tidy() -> None:
    """Do for the calling thread what Django does before and after a request.

    It closes connections that are broken, are past their ``CONN_MAX_AGE``, or lead to a SQLite file that was replaced.
    It empties the log of queries that ``DEBUG`` keeps. It rolls back a transaction that a job left open, by closing its
    connection.
    """
    for connection in connections.all(initialized_only=True):
        try:
            _tidy(connection)
        except BaseException:
            logger.exception("The connection to database %r cannot be used any more", connection.alias)
            _drop(connection)


def _tidy(connection: BaseDatabaseWrapper) -> None:
    connection.queries_log.clear()
    if connection.in_atomic_block:
        logger.error("A job left a transaction open on database %r; it is rolled back", connection.alias)
        _drop(connection)
    else:
        connection.close_if_unusable_or_obsolete()
        close_if_replaced(connection, every=0.0)  # writes of the next job to the old file would be lost


def drop_all() -> None:
    """Close every connection of the calling thread, also broken ones."""
    for connection in connections.all(initialized_only=True):
        _drop(connection)


def _drop(connection: BaseDatabaseWrapper) -> None:
    """Close a connection and discard its object, since after an unfinished transaction it would refuse all queries."""
    try:
        connection.in_atomic_block = False  # otherwise Django keeps it until the block ends, which never happens
        connection.close()
    except BaseException as error:  # noqa: BLE001 - the connection is discarded anyway
        logger.debug("Closing the connection to database %r: %s", connection.alias, error)
    finally:
        del connections[connection.alias]


@contextmanager
def usable_transactions() -> Iterator[None]:
    """Keep a job with a failing statement from breaking the transaction of the ``TestCase``.

    Outside of tests each statement of a job is its own transaction. Here a broken transaction is rolled back to a
    savepoint from before the job.
    """
    inside = [connection for connection in connections.all(initialized_only=True) if connection.in_atomic_block]
    points: list[tuple[Any, Any]] = [(connection, connection.savepoint()) for connection in inside]
    yield
    for connection, point in points:
        try:
            if not connection.needs_rollback:
                connection.savepoint_commit(point)
                continue
        except DatabaseError:
            pass
        connection.needs_rollback = False
        connection.savepoint_rollback(point)


def _leave_to_original() -> None:
    """Make a fork of a worker's thread connect anew: two processes on one connection would read each other's answers.

    If an ``atomic`` block was open, it refuses queries as it does after ``close()``: they would run outside of its
    transaction. A database in memory keeps its connection, because it is copied with the process.
    """
    if not is_own_thread():
        return
    for connection in connections.all():
        if pools := getattr(connection, "_connection_pools", None):  # a fork does not have their threads
            _inherited.append(dict(pools))
            pools.clear()
        if connection.connection is None or getattr(connection, "is_in_memory_db", bool)():
            continue
        _inherited.append(connection.connection)
        connection.connection = None
        connection.run_on_commit = []
        if connection.in_atomic_block:
            connection.closed_in_transaction = connection.needs_rollback = True


os.register_at_fork(after_in_child=_leave_to_original)
