"""Waits for changes of a SQLite file. SQLite cannot notify, but polling it is very cheap."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db import connections

from ...listener import QueueListener
from .dialect import close_if_replaced

#: Seconds between two polls: just after a change, and when there was none for a while.
SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.005, 0.015
#: The factor by which the time between polls grows.
GROWTH = 1.01


class SQLiteListener(QueueListener):
    """Polls ``PRAGMA data_version``, which changes with every commit of another connection.

    It compares a counter in shared memory. Writers never wait for it, and it takes less than half a percent of a core.
    A database in memory belongs to this process alone and cannot be polled; ``wait`` then only sleeps.
    """

    def __init__(self, alias: str, database: str) -> None:  # noqa: ARG002 - a file does not distinguish aliases
        """Connects to nothing yet."""
        self._database = database
        self._connection: Any = None
        self._seen = 0
        self._interval = SHORTEST_POLL_SECONDS
        self._interrupted = threading.Event()

    def wait(self, timeout: float) -> bool:
        """Poll until the file has changed."""
        connection = self._connected()
        if connection.is_in_memory_db():
            self._pause(timeout)
            return False
        deadline = time.monotonic() + timeout
        with connection.wrap_database_errors:
            while not self._has_changed():
                rest = deadline - time.monotonic()
                if rest <= 0 or self._pause(min(rest, self._interval)):
                    return False
                self._interval = min(LONGEST_POLL_SECONDS, self._interval * GROWTH)
        self._interval = SHORTEST_POLL_SECONDS
        return True

    def interrupt(self) -> None:
        """End the pause between two polls."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Any:
        if self._connection is not None:
            close_if_replaced(self._connection)
        if self._connection is None or self._connection.connection is None:
            self._connection = connections.create_connection(self._database)
            self._connection.connect()
            self._seen = 0
        return self._connection

    def _has_changed(self) -> bool:
        (version,) = self._connection.connection.execute("PRAGMA data_version").fetchone()
        seen, self._seen = self._seen, version
        return bool(seen != version)

    def _pause(self, seconds: float) -> bool:
        if not self._interrupted.wait(seconds):
            return False
        self._interrupted.clear()
        return True
