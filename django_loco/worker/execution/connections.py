"""Database connections of threads that run jobs: none goes stale, none leaks from one job into the next."""

from __future__ import annotations

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ...log.safe import get_logger

logger = get_logger("django_loco.worker")


def tidy() -> None:
    """Do for the calling thread, before and after a job, what Django does before and after a request.

    Connections past their ``CONN_MAX_AGE`` or broken are closed and ``DEBUG``'s log of queries is emptied. Beyond
    that, a transaction that a job left open is rolled back by closing its connection.
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


def drop_all() -> None:
    """Close every connection of the calling thread, whatever state it is in."""
    for connection in connections.all(initialized_only=True):
        _drop(connection)


def _drop(connection: BaseDatabaseWrapper) -> None:
    """Close it and forget its object as well: after an unfinished transaction that would refuse all work."""
    try:
        connection.in_atomic_block = False  # else Django keeps the closed one until a block ends that never will
        connection.close()
    except BaseException as error:  # noqa: BLE001 - it is being thrown away because it is broken
        logger.debug("Closing the connection to database %r: %s", connection.alias, error)
    finally:
        del connections[connection.alias]
