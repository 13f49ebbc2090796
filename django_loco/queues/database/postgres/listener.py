"""Waking workers on PostgreSQL: ``NOTIFY`` by whoever stores a job, ``LISTEN`` by whoever waits.

A commit that notifies takes a lock that all such commits share, so that a busy site had better not notify for each
job. Outside of transactions one notification per process covers a *window*: jobs stored within it are not announced.
Its length is in the notification, and who listens takes that to mean "now, and once more when the window is over". It
is 5 ms as long as jobs come now and then, and grows to 50 ms while one window after the other is made use of.

Where notifications do not arrive (a connection pooler in transaction mode), jobs are found when the worker looks by
itself, at the latest after a second.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable
from hashlib import blake2s
from typing import Any

import psycopg
from django.db import connections
from psycopg.sql import SQL, Identifier

from ....core.wakeup import Wakeup
from ....log.safe import get_logger
from ...listener import QueueListener
from .timeouts import watched, with_limit

logger = get_logger("django_loco.queues")

#: Seconds for which a notification stands.
SHORTEST_WINDOW_SECONDS, LONGEST_WINDOW_SECONDS = 0.005, 0.05
#: Seconds that the end of the window is waited for longer, because clocks and threads are not exact.
WINDOW_MARGIN_SECONDS = 0.001
#: Seconds without a notification after which the server is asked whether it is there. Silence alone does not tell: it
#: may hang, or something between may have forgotten the connection.
SILENCE_SECONDS = 30.0
#: Seconds for which a connection has to last. One that is cut earlier is no matter of idleness.
YOUNG_SECONDS = 5.0
#: The same question for the kernel of the other end: asked after 30 s of silence, given up after 30 more.
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def channel_of(alias: str) -> str:
    """Return the channel of ``TASKS[alias]``. PostgreSQL allows 63 bytes, and the alias may be any text."""
    return f"django_loco_{blake2s(alias.encode(), digest_size=8).hexdigest()}"


class Debounce:
    """Lets one notification in a window pass; for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ends = float("-inf")
        self._length = SHORTEST_WINDOW_SECONDS
        self._is_used = False

    def begin(self) -> float:
        """Begin a new window and return its length in seconds; 0 if one is open, which then was of use."""
        with self._lock:
            now = self._clock()
            if now < self._ends:
                self._is_used = True
                return 0.0
            self._length = min(2 * self._length, LONGEST_WINDOW_SECONDS) if self._is_used else SHORTEST_WINDOW_SECONDS
            self._ends, self._is_used = now + self._length, False
            return self._length

    def forget(self) -> None:
        """Close the window: its notification was not sent."""
        with self._lock:
            self._ends = float("-inf")


def text_of(window: float) -> str:
    """Return what a notification says of its window: whole milliseconds."""
    return str(round(window * 1000))


class PostgresListener(QueueListener):
    """Listens on a connection that is nobody else's, and on a socket through which other threads interrupt it."""

    def __init__(self, alias: str, database: str) -> None:
        """Connects to nothing yet."""
        self._channel = channel_of(alias)
        self._django = connections.create_connection(database)  # for its parameters; it never connects
        self._connection: psycopg.Connection[Any] | None = None
        self._connected_at = self._heard_at = 0.0
        """When the server last said something."""
        self._ends: list[float] = []
        """When the windows end of which we know, by ``time.monotonic()``."""
        self._wakeup = Wakeup()

    def wait(self, timeout: float) -> bool:
        """Block until a notification comes or the window of the last one ends."""
        with self._django.wrap_database_errors:
            if self._connection is not None:
                try:
                    return self._listen(self._connection, time.monotonic() + timeout)
                except psycopg.OperationalError as error:
                    if time.monotonic() - self._connected_at < YOUNG_SECONDS:
                        raise
                    # Servers and poolers cut connections that say nothing. Whether more is wrong, a new one shows.
                    logger.info("The connection that listens for jobs was cut, and is made anew: %s", error)
                    self.close()
            self._connection = self._connect()
            self._note(LONGEST_WINDOW_SECONDS)
            return True  # for what was stored before anybody listened

    def _listen(self, connection: psycopg.Connection[Any], deadline: float) -> bool:
        if time.monotonic() - self._heard_at > SILENCE_SECONDS:
            connection.execute("SELECT 1")
            self._heard_at = time.monotonic()
            return True  # for a notification that came with the answer
        while not self._has_news(connection):
            if time.monotonic() >= deadline or self._is_interrupted(connection, deadline):
                return False
        return True

    def interrupt(self) -> None:
        """Make the socket readable."""
        self._wakeup.wake()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection[Any]:
        parameters = with_limit({**KEEPALIVES, **self._django.get_connection_params()})
        connection = watched(psycopg.connect(**parameters, autocommit=True))
        connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
        self._connected_at = self._heard_at = time.monotonic()
        return connection

    def _is_interrupted(self, connection: psycopg.Connection[Any], deadline: float) -> bool:
        """Sleep until there is something to look at; return whether it is an interrupt."""
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            seconds = min([deadline, *self._ends]) - time.monotonic()
            ready = [key.fileobj for key, _ in selector.select(max(0.0, seconds))]
        if connection in ready:
            connection.pgconn.consume_input()
            self._heard_at = time.monotonic()
        return self._wakeup in ready and bool(self._wakeup.drain())

    def _has_news(self, connection: psycopg.Connection[Any]) -> bool:
        known = self._ends
        self._ends = [end for end in known if end > time.monotonic()]
        has_news = len(self._ends) < len(known)
        while (notification := connection.pgconn.notifies()) is not None:
            self._note(int(notification.extra or b"0") / 1000)
            has_news = True
        return has_news

    def _note(self, window: float) -> None:
        if window:
            self._ends.append(time.monotonic() + window + WINDOW_MARGIN_SECONDS)
