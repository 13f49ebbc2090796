"""The *store timeout* of a thread: how long it waits for a store that does not answer.

The threads of workers and schedulers have one. If a server hangs, or a network drops packets, they must try again on a
new connection, and health must report it. All other threads wait as long as the project has configured for its
connections. So does the project's own code that runs in a thread of a worker or scheduler.

These threads also stay outside of Django's pool of connections. Jobs may hold all of a pool for a long time, and a
heartbeat that waits for one of them would lose its leases.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string

#: The time after which the threads of workers and schedulers give up a connection; for ticks it is shorter.
STORE_TIMEOUT_SECONDS = 10.0

#: The function that applies the timeout to a connection, by the driver. SQLite waits only for locks, and has a timeout
#: for them. psycopg2 waits in C, where nothing can limit it; with psycopg2 there are no jobs in the database.
_DRIVERS = {"psycopg": "django_loco.queues.database.postgres.timeouts.apply"}

_thread = threading.local()


def current_store_timeout() -> float:
    """Return the store timeout of the calling thread in seconds; infinite if it has none."""
    return getattr(_thread, "seconds", math.inf)


def has_store_timeout() -> bool:
    """Return whether the calling thread belongs to a worker or a scheduler, and runs no code of the project."""
    return current_store_timeout() < math.inf


def set_store_timeout(seconds: float | None = None) -> None:
    """Declare that the calling thread belongs to a worker or a scheduler.

    Its store timeout is ``STORE_TIMEOUT_SECONDS`` by default, and its connections are outside of Django's pool.
    """
    _thread.seconds = STORE_TIMEOUT_SECONDS if seconds is None else seconds
    _thread.is_outside_pool = has_store_timeout()


@contextmanager
def store_timeout(seconds: float | None = None) -> Iterator[None]:
    """Give the calling thread another store timeout within a ``with`` block."""
    before = current_store_timeout()
    _thread.seconds = STORE_TIMEOUT_SECONDS if seconds is None else seconds
    try:
        yield
    finally:
        _thread.seconds = before


def no_store_timeout() -> AbstractContextManager[None]:
    """Run a ``with`` block without the store timeout: for code of the project."""
    return store_timeout(math.inf)


def apply_store_timeout(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Let the calling thread's ``connection`` obey the store timeout, if the driver supports that; return it."""
    driver = getattr(getattr(connection, "Database", None), "__name__", "")
    if has_store_timeout() and driver in _DRIVERS:
        if getattr(_thread, "is_outside_pool", False):
            _leave_pool(connection)
        import_string(_DRIVERS[driver])(connection)
    return connection


def return_to_pool(connection: BaseDatabaseWrapper) -> None:
    """Give back a connection of Django's pool, unless it is in a transaction or used by code of the project.

    A thread that looks at a store now and then, such as the one of the dashboard's streams, would keep it all the time.
    """
    if _is_pooled(connection) and has_store_timeout():
        connection.close()


def _leave_pool(connection: BaseDatabaseWrapper) -> None:
    """Let a thread's ``connection`` connect by itself from now on; other threads have objects of their own."""
    if _is_pooled(connection):
        connection.close()
        known = connection.settings_dict
        connection.settings_dict = {**known, "OPTIONS": {**known["OPTIONS"], "pool": None}}


def _is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Return whether ``connection`` is from a pool, and can leave it now, because it is not in a transaction."""
    return bool(connection.settings_dict.get("OPTIONS", {}).get("pool")) and not connection.in_atomic_block
