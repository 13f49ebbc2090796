"""How long a thread waits for a store that says nothing.

The threads of a worker (fetcher, heartbeat, housekeeping, listener) and of a scheduler have an end to their patience: a
server that hangs, or a network that swallows packets, must not keep them from trying again on a new connection, and
health from saying so. All other threads wait for as long as the project's settings for its connections say, and so does
the project's own code in one of these.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string

#: Seconds without a word from the store after which a worker gives a connection up.
LIMIT = 10.0

#: What has a connection heed it, by what Django calls the engine. SQLite waits for locks alone, and has a time-out.
_ENGINES = {"postgresql": "django_loco.queues.database.postgres.timeouts.watch"}

_thread = threading.local()


def patience() -> float:
    """Return the seconds that the calling thread waits for a word from the store; infinite unless it was limited."""
    return getattr(_thread, "seconds", math.inf)


def limit(seconds: float | None = None) -> None:
    """Let the calling thread wait no longer than so many seconds, ``LIMIT`` by default, from now on."""
    _thread.seconds = LIMIT if seconds is None else seconds


@contextmanager
def limited(seconds: float | None = None) -> Iterator[None]:
    """``limit`` in here alone."""
    before = patience()
    limit(seconds)
    try:
        yield
    finally:
        limit(before)


def unlimited() -> AbstractContextManager[None]:
    """Let the calling thread wait without an end in here: for code of the project."""
    return limited(math.inf)


def heeding(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Return the calling thread's ``connection`` in Django, which heeds the thread's patience if its engine can."""
    if patience() < math.inf and connection.vendor in _ENGINES:
        import_string(_ENGINES[connection.vendor])(connection)
    return connection
