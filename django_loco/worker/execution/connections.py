"""Tidies the database connections of threads that run jobs, before and after each job; keeps transactions of tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ...log.safe import get_logger
from ...queues.database.sqlite.connections import close_if_replaced

logger = get_logger("django_loco.worker")


def tidy() -> None:
    """Do for the calling thread what Django does before and after a request.

    Broken connections, those past their ``CONN_MAX_AGE`` and those to a SQLite file that was replaced are closed, and
    the log of queries that ``DEBUG`` keeps is emptied. A transaction that a job left open is rolled back: its
    connection is closed.
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
        close_if_replaced(connection, every=0.0)  # what the next job writes to the old file would be lost


def drop_all() -> None:
    """Close every connection of the calling thread, also broken ones."""
    for connection in connections.all(initialized_only=True):
        _drop(connection)


def _drop(connection: BaseDatabaseWrapper) -> None:
    """Close a connection and discard its object, which after an unfinished transaction would refuse all queries."""
    try:
        connection.in_atomic_block = False  # otherwise Django keeps it until the block ends, which never happens
        connection.close()
    except BaseException as error:  # noqa: BLE001 - it is being thrown away because it is broken
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
