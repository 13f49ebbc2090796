"""Waits for changes of a SQLite file. SQLite cannot notify, but polling it is very cheap.

On Linux the listener also watches the file to which SQLite writes ahead (WAL), so it notices a commit at once and polls
rarely. It trusts the watch only after the watch has announced a change: on a network disk, or a disk that a virtual
machine shares with its host, it may say nothing.
"""

from __future__ import annotations

import selectors
import time
from contextlib import suppress
from typing import Any

from django.db import connections

from ....core.threads.wakeup import Wakeup
from ...listener import QueueListener
from .connections import close_if_replaced
from .file_watch import FileWatch

#: Seconds between two polls: just after a change, and when there was none for a while.
SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.005, 0.015
#: The longest time between two polls while the watch announces changes.
LONGEST_WATCHED_POLL_SECONDS = 0.1
#: Seconds between an announcement and the next poll, if the transaction has not committed yet.
RECHECK_SECONDS = 0.001
#: The time between polls grows by these factors.
GROWTH, WATCHED_GROWTH = 1.01, 1.5


class SQLiteListener(QueueListener):
    """Polls ``PRAGMA data_version``, which changes with every commit of another connection.

    It compares a counter in shared memory. Writers never wait for it, and it takes less than half a percent of a core.
    A database in memory belongs to this process alone and cannot be polled; ``wait`` then only sleeps.

    After a change, and after an announcement without one, the next pause ignores the watch. So a process that writes
    all the time does not keep the worker busy.
    """

    def __init__(self, alias: str, database: str) -> None:  # noqa: ARG002 - a file does not distinguish aliases
        """Prepare the listener, without connecting."""
        self._database = database
        self._connection: Any = None
        self._seen = 0
        self._interval = SHORTEST_POLL_SECONDS
        self._longest = LONGEST_POLL_SECONDS
        self._watch: FileWatch | None = None
        self._ignores_watch = self._was_announced = False
        self._wakeup = Wakeup()

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
                is_trusted = self._longest == LONGEST_WATCHED_POLL_SECONDS
                self._interval = min(self._longest, self._interval * (WATCHED_GROWTH if is_trusted else GROWTH))
        self._note_change()
        return True

    def interrupt(self) -> None:
        """End the pause between two polls."""
        self._wakeup.wake()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _connected(self) -> Any:
        if self._connection is not None:
            close_if_replaced(self._connection)
        if self._connection is None or self._connection.connection is None:
            self.close()
            self._connection = connections.create_connection(self._database)
            self._connection.connect()
            self._seen = 0
        if self._watch is None:
            with suppress(OSError):  # there is no such file yet, or it cannot be watched
                self._watch = FileWatch(f"{self._path()}-wal")
        return self._connection

    def _path(self) -> str:
        """Return the path of the file; empty for a database in memory."""
        return str(self._connection.connection.execute("PRAGMA database_list").fetchone()[2])

    def _has_changed(self) -> bool:
        (version,) = self._connection.connection.execute("PRAGMA data_version").fetchone()
        seen, self._seen = self._seen, version
        return bool(seen != version)

    def _note_change(self) -> None:
        if self._was_announced or (self._watch is not None and self._watch.drain()):
            self._longest = LONGEST_WATCHED_POLL_SECONDS
        elif not self._ignores_watch:
            self._longest = LONGEST_POLL_SECONDS
        self._interval = SHORTEST_POLL_SECONDS
        self._ignores_watch, self._was_announced = True, False

    def _pause(self, seconds: float) -> bool:
        """Sleep until the file is written to, or for ``seconds``; return whether another thread has interrupted."""
        watch = None if self._ignores_watch else self._watch
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            if watch is not None:
                selector.register(watch, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in selector.select(seconds)]
        self._ignores_watch = watch is not None and watch in ready and watch.drain()
        if self._ignores_watch:
            self._was_announced, self._interval = True, RECHECK_SECONDS
        return self._wakeup in ready and bool(self._wakeup.drain())
