"""Lets jobs run inside the transaction of a ``TestCase``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections


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
