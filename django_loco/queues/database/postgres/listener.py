"""Wakes workers on PostgreSQL: a process that stores a job notifies (``NOTIFY``), and workers listen (``LISTEN``).

A commit that notifies takes a lock that all such commits share, so a busy site should not notify for each job. Outside
of transactions one notification per process covers a *window*: jobs stored within it are not announced. The
notification contains the length of the window, and a listener wakes its worker at once and again when the window has
ended. The length is 5 ms while jobs arrive now and then. It grows to 50 ms while jobs arrive in each window.

If notifications do not arrive (with a connection pooler in transaction mode), workers find jobs when they poll, at
least once a second. Such a pooler would lend the listening connection to others, and log a warning for each
notification that comes meanwhile. So a listener behind a pooler first sends a notification to itself, from another
connection. If this does not arrive, nothing listens.
"""

from __future__ import annotations

import secrets
import selectors
import threading
import time
from collections.abc import Callable
from hashlib import blake2s
from typing import Any

import psycopg
from django.db import connections
from psycopg.sql import SQL, Identifier

from ....core.threads.wakeup import Wakeup
from ....log.safe import get_logger
from ...listener import QueueListener
from .timeouts import watched, with_limit

logger = get_logger("django_loco.queues")

#: The length of a window.
SHORTEST_WINDOW_SECONDS, LONGEST_WINDOW_SECONDS = 0.005, 0.05
#: Added to the end of a window, because clocks and threads are not exact.
WINDOW_MARGIN_SECONDS = 0.001
#: The time without a notification after which the listener sends a query: the server may hang, or a device in the
#: network may have dropped the connection.
SILENCE_SECONDS = 30.0
#: The minimum age of a connection that was cut because it was idle.
YOUNG_SECONDS = 5.0
#: TCP keepalives: sent after 30 s of silence; the connection is given up after 30 s more.
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
DEAF = (
    "The pooler in front of DATABASES[%r] passes no notifications on, as PgBouncer in transaction mode does not: jobs "
    "are found when workers poll, at least once a second"
)
#: How long a listener waits for its own notification, and how long nothing listens after it did not arrive.
OWN_NOTIFICATION_SECONDS, DEAF_SECONDS = 2.0, 600.0
#: The aliases of ``DATABASES`` whose poolers pass nothing on, and until when nothing listens (``time.monotonic()``).
_deaf_until: dict[str, float] = {}


def channel_of(alias: str) -> str:
    """Return the channel of ``TASKS[alias]``. PostgreSQL allows 63 bytes, and the alias may be any text."""
    return f"django_loco_{blake2s(alias.encode(), digest_size=8).hexdigest()}"


class Debounce:
    """Lets one notification per window pass. Used by many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()  # a finalizer or a signal handler may enqueue meanwhile
        self._ends = float("-inf")
        self._length = SHORTEST_WINDOW_SECONDS
        self._is_used = False

    def begin(self) -> float:
        """Begin a new window and return its length in seconds; 0 if one is open, which counts as used then."""
        with self._lock:
            now = self._clock()
            if now < self._ends:
                self._is_used = True
                return 0.0
            self._length = min(2 * self._length, LONGEST_WINDOW_SECONDS) if self._is_used else SHORTEST_WINDOW_SECONDS
            self._ends, self._is_used = now + self._length, False
            return self._length

    def forget(self) -> None:
        """Close the window, because its notification was not sent."""
        with self._lock:
            self._ends = float("-inf")


def text_of(window: float) -> str:
    """Return the length of a window for its notification, in whole milliseconds."""
    return str(round(window * 1000))


class PostgresListener(QueueListener):
    """Listens on a connection of its own, and on a socket that other threads use to interrupt it."""

    def __init__(self, alias: str, database: str) -> None:
        """Prepare the listener, without connecting."""
        self._channel = channel_of(alias)
        self._database = database
        self._django = connections.create_connection(database)  # only for its parameters; it never connects
        self._connection: psycopg.Connection[Any] | None = None
        self._connected_at = 0.0
        """When it connected, by ``time.monotonic()``."""
        self._heard_at = 0.0
        """When the server last sent something, by ``time.monotonic()``."""
        self._ends: list[float] = []
        """The ends of the known windows, by ``time.monotonic()``."""
        self._wakeup = Wakeup()

    def wait(self, timeout: float) -> bool:
        """Block until a notification comes or the window of the last one ends."""
        if time.monotonic() < _deaf_until.get(self._database, 0.0):
            return self._sleep(timeout)
        with self._django.wrap_database_errors:
            if self._connection is not None:
                try:
                    return self._listen(self._connection, time.monotonic() + timeout)
                except psycopg.OperationalError as error:
                    if time.monotonic() - self._connected_at < YOUNG_SECONDS:
                        raise
                    # Servers and poolers cut idle connections. If something else is wrong, the new connection shows it.
                    logger.info("The connection that listens for jobs was cut; connecting again: %s", error)
                    self.close()
            self._connection = self._connect()
            self._note(LONGEST_WINDOW_SECONDS)
            return True  # for jobs that were stored before it listened

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

    def _connect(self) -> psycopg.Connection[Any] | None:
        """Return a connection that listens; ``None`` if it would hear nothing."""
        connection = self._opened()
        try:
            if not self._hears(connection):
                connection.close()
                if self._database not in _deaf_until:
                    logger.info(DEAF, self._database)
                _deaf_until[self._database] = time.monotonic() + DEAF_SECONDS
                return None
            connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
        except BaseException:
            connection.close()
            raise
        self._connected_at = self._heard_at = time.monotonic()
        return connection

    def _opened(self) -> psycopg.Connection[Any]:
        parameters = with_limit({**KEEPALIVES, **self._django.get_connection_params()})
        return watched(psycopg.connect(**parameters, autocommit=True))

    def _hears(self, connection: psycopg.Connection[Any]) -> bool:
        """Return whether notifications arrive. Without a pooler they do; otherwise this sends one as a test."""
        [(pid,)] = connection.execute("SELECT pg_backend_pid()")
        if pid == connection.info.backend_pid:
            return True
        channel = f"django_loco_{secrets.token_hex(8)}"
        connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
        try:
            with self._opened() as other:  # on its own connection, it might arrive with the answer to the statement
                other.execute("SELECT pg_notify(%s, '')", [channel])
        except psycopg.Error as error:
            logger.debug("It is not known whether notifications arrive: %s", error)
            return True
        is_heard = bool([*connection.notifies(timeout=OWN_NOTIFICATION_SECONDS, stop_after=1)])
        connection.execute(SQL("UNLISTEN {}").format(Identifier(channel)))
        return is_heard

    def _sleep(self, seconds: float) -> bool:
        """Wait as if it listened; nothing comes."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            if selector.select(seconds):
                self._wakeup.drain()
        return False

    def _is_interrupted(self, connection: psycopg.Connection[Any], deadline: float) -> bool:
        """Sleep until something arrives or a window ends; return whether it is an interrupt."""
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
