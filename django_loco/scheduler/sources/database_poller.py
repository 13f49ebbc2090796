"""Reads the schedules of the database at intervals while a scheduler runs.

It has a thread of its own, so a slow or unreachable database does not delay ticks of jobs on other queues. Until the
next successful read, the rows of the last one apply.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

from django.db import connections

from ...component import Loop
from ...core.job import utcnow
from ...log.safe import get_logger
from ...queues.database.sqlite.connections import close_if_replaced
from ...queues.timeouts import apply_store_timeout, set_store_timeout
from .allow_list import AllowList
from .database import ScheduleReader, StoredSchedules
from .tables import MissingTable, database_alias, no_tables

logger = get_logger("django_loco.scheduler")

#: How often all rows are read, to see changes that were not made through Django.
FULL_READ_SECONDS = 60.0
#: How long to wait if the table is missing, because each attempt is an error in the database's log.
MISSING_TABLE_SECONDS = 60.0


class DatabasePoller(Loop):
    """Reads the schedules and pauses of the database every few seconds.

    1. ``start`` starts the thread, ``loco-schedules``; ``wait`` waits for its first read.
    2. ``changes`` returns the schedules if they have changed since the last call.
    3. ``stop`` ends the thread. It holds no state that could be lost, so nobody has to wait for a read that hangs.
    """

    name = "schedules"
    every = 2.0

    def __init__(self, allow_list: AllowList, now: Callable[[], datetime] = utcnow) -> None:
        super().__init__()
        self._reader = ScheduleReader(allow_list, now)
        self.read_at: datetime | None = None
        """When the last successful read began. ``changes`` has its result already."""
        self._first_read = threading.Event()
        self._changes: deque[StoredSchedules] = deque(maxlen=1)
        self._latest: StoredSchedules | None = None
        self._full_read_at: float | None = None
        self._read_at: float | None = None
        self._trouble = ""

    @property
    def age(self) -> float | None:
        """The seconds since the last successful read; ``None`` if there was none."""
        return None if self._read_at is None else round(time.monotonic() - self._read_at, 3)

    def turn(self) -> float | None:
        """Read once; return the seconds until the next read if they differ from ``every``."""
        try:
            self._read_once()
        except MissingTable:
            self._note(no_tables(), logging.INFO)
            return MISSING_TABLE_SECONDS
        except Exception as error:  # noqa: BLE001 - the next read may succeed
            self._note(f"The schedules in the database cannot be read, and stay as they are: {error}", logging.WARNING)
        finally:
            self._first_read.set()
        return None

    def changes(self) -> StoredSchedules | None:
        """Return the schedules and pauses if they have changed since the last call."""
        return self._changes.pop() if self._changes else None

    def wait(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for the end of the first read."""
        self._first_read.wait(timeout)

    def stop(self, deadline: float) -> None:
        """Stop reading, and end the thread."""
        super().stop(deadline)
        self._first_read.set()

    def _read_once(self) -> None:
        set_store_timeout()
        close_if_replaced(apply_store_timeout(connections[database_alias()]))
        now = time.monotonic()
        full = self._full_read_at is None or now - self._full_read_at >= FULL_READ_SECONDS
        stored = self._reader.read(full=full)
        self._read_at = time.monotonic()
        if full:
            self._full_read_at = now
        if self._trouble:
            logger.info("The schedules in the database can be read")
            self._trouble = ""
        if self._latest is None or stored.rows is not self._latest.rows or stored.pauses != self._latest.pauses:
            self._latest = stored
            self._changes.append(stored)
        self.read_at = stored.read_at

    def _note(self, trouble: str, level: int) -> None:
        if trouble != self._trouble:
            logger.log(level, trouble)
            self._trouble = trouble
