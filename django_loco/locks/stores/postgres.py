"""Locks in PostgreSQL: rows with leases, which work behind a pooler in any mode, rather than locks of a session."""

from __future__ import annotations

import secrets
from typing import Any

from ...core import running_tests
from ...queues.database.postgres.listener import PostgresListener, channel_of
from ...queues.listener import QueueListener
from .base import Stored, process_of
from .database import DatabaseLocks

READ = """
    SELECT (SELECT state FROM django_loco_lock WHERE backend = %s AND name = %s),
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
"""
#: Sends a notification with the change. ``0`` means that no other one is held back.
NOTIFYING = "{} RETURNING pg_notify(%s, '0')"


class PostgresLocks(DatabaseLocks):
    """For a database that machines share: leases are judged by its clock."""

    longest_poll_seconds = 0.1

    def __init__(self, alias: str, database: str) -> None:
        super().__init__(alias, database)
        self.process = secrets.token_hex(8)

    def read(self, name: str) -> Stored:
        """Return the stored value of a lock."""
        [(text, now)] = self._rows(READ, self._alias, name)
        return Stored(text, now)

    def listener(self) -> QueueListener | None:
        """Return a listener for notifications, except in tests: their database could not be dropped."""
        return None if running_tests.is_on() else PostgresListener(_topic(self.process), self._database)

    def _now(self) -> int:
        return self.read("").now

    def _write(self, sql: str, parameters: tuple[Any, ...], wake: str) -> int:
        if wake:
            return super()._write(NOTIFYING.format(sql), (*parameters, channel_of(_topic(process_of(wake)))), wake)
        return super()._write(sql, parameters, wake)


def _topic(process: str) -> str:
    """Return the text that replaces the alias in the name of a channel: each process has a channel for its claims."""
    return f"locks of {process}"
