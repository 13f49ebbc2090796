"""Locks in a SQLite file of their own.

SQLite lets one connection write at a time. A claim inside of ``atomic()`` would wait for the transaction of its own
caller, if it was in the same file.
"""

from __future__ import annotations

import time
from typing import ClassVar

from django.db import connections

from ...queues.database.sqlite.file_path import file_of
from .base import Stored
from .database import DatabaseLocks

#: The suffix of the file with the locks of a database.
SUFFIX = "-locks"
#: The first statements of a connection. Writes do not wait for the disk: if the machine fails, all holders end with it.
#: The table is the same as the one of ``models.StoredLock``.
FIRST = (
    "PRAGMA synchronous = NORMAL",
    """
    CREATE TABLE IF NOT EXISTS django_loco_lock (
        backend text NOT NULL, name text NOT NULL, state text NOT NULL,
        held_until bigint NULL, memory_until bigint NOT NULL, PRIMARY KEY (backend, name)
    )
    """,
    "CREATE INDEX IF NOT EXISTS django_loco_lock_old ON django_loco_lock (memory_until)",
)
READ = "SELECT state FROM django_loco_lock WHERE backend = %s AND name = %s"


class SQLiteLocks(DatabaseLocks):
    """For a file of this machine: leases are judged by its clock."""

    longest_poll_seconds = 0.02  # a look takes some microseconds
    hint: ClassVar[str] = f" (in a file of their own, {SUFFIX!r})"

    def __init__(self, alias: str, database: str) -> None:
        super().__init__(alias, database, f"{file_of(connections[database])}{SUFFIX}", FIRST)

    def read(self, name: str) -> Stored:
        """Return the stored value of a lock."""
        rows = self._rows(READ, self._alias, name)
        return Stored(rows[0][0] if rows else None, self._now())

    def _now(self) -> int:
        return time.time_ns() // 1000
