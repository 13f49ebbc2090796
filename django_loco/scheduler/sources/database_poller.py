"""Looks at the schedules of the database while a scheduler runs.

It does so in a thread of its own. A database that is slow or away holds up this thread and no tick: those of queues
that are elsewhere go on, and what was read last stays in force.
"""

from __future__ import annotations

import logging
import threading
import time
from queue import Empty, SimpleQueue

from django.db import connections

from ...component import Loop
from ...log.safe import get_logger
from ...queues.timeouts import apply_store_timeout, set_store_timeout
from .allow_list import AllowList
from .database import NO_TABLE, MissingTable, ScheduleReader, StoredSchedules, database

logger = get_logger("django_loco.scheduler")

#: Seconds after which everything is read again, for what was changed past Django.
FULL_READ_SECONDS = 60.0
#: Seconds until the next look where there is no table: each is an error in the server's log.
MISSING_TABLE_SECONDS = 60.0


class DatabasePoller(Loop):
    """Reads what the database has of schedules, over and over.

    1. ``start`` begins the thread, ``loco-schedules``; ``wait`` waits for its first look.
    2. ``news`` returns what has changed since it was last asked.
    3. ``stop`` ends it. It holds nothing that could be lost, so nobody has to wait for a look that hangs.
    """

    name = "schedules"
    every = 2.0

    def __init__(self, allow_list: AllowList) -> None:
        super().__init__()
        self._reader = ScheduleReader(allow_list)
        self._looked = threading.Event()
        self._read: SimpleQueue[StoredSchedules] = SimpleQueue()
        self._latest: StoredSchedules | None = None
        self._all_read_at: float | None = None
        self._looked_at: float | None = None
        self._trouble = ""

    @property
    def age(self) -> float | None:
        """The seconds since the last look that saw something; ``None``: there has been none."""
        return None if self._looked_at is None else round(time.monotonic() - self._looked_at, 3)

    def turn(self) -> float | None:
        """Look once; return when to do so again, if that is not as ever."""
        try:
            self._look()
        except MissingTable:
            self._note(NO_TABLE, logging.INFO)
            return MISSING_TABLE_SECONDS
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may do better
            self._note(f"The schedules in the database cannot be read, and stay as they are: {error}", logging.WARNING)
        finally:
            self._looked.set()
        return None

    def news(self) -> StoredSchedules | None:
        """Return what there is now, if it is another than when this was last called."""
        latest = None
        try:
            while True:
                latest = self._read.get_nowait()
        except Empty:
            return latest

    def wait(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for the end of the first look."""
        self._looked.wait(timeout)

    def quiet(self) -> None:
        """Look no more."""
        super().quiet()
        self._looked.set()

    def stop(self, deadline: float) -> None:
        """Look no more, and end the thread."""
        super().stop(deadline)
        self._looked.set()

    def _look(self) -> None:
        set_store_timeout()
        apply_store_timeout(connections[database()])
        now = time.monotonic()
        full = self._all_read_at is None or now - self._all_read_at >= FULL_READ_SECONDS
        stored = self._reader.read(full=full)
        self._looked_at = time.monotonic()
        if full:
            self._all_read_at = now
        if self._trouble:
            logger.info("The schedules in the database can be read")
            self._trouble = ""
        if self._latest is None or stored.rows is not self._latest.rows or stored.pauses != self._latest.pauses:
            self._latest = stored
            self._read.put(stored)

    def _note(self, trouble: str, level: int) -> None:
        if trouble != self._trouble:
            logger.log(level, trouble)
            self._trouble = trouble
