"""Keeps a connection of a pool at hand for the next script."""

from __future__ import annotations

import os
import time
import weakref
from typing import Any, NamedTuple

from redis import VERSION, ConnectionPool

#: Older pools of redis-py ask for the name of the command, which newer ones refuse.
_COMMAND_NAME = () if VERSION >= (5, 3) else ("EVALSHA",)
#: A connection goes back to its pool after this time. The pool checks it, and may have to log in again.
SPARE_SECONDS = 1.0
#: A pool of fewer connections is one that the project has bounded, perhaps to as many as it has threads.
LARGE_POOL = 100


class Taken(NamedTuple):
    """A connection that was taken from its pool."""

    connection: Any
    until: float
    """When it has to go back, by ``time.monotonic()``."""


class SpareConnection:
    """Keeps the connection of the last script for the next one: a pool of redis-py takes a sixth of an ``enqueue``.

    1. ``take`` hands out the connection that was kept, or one of the pool, which checks it.
    2. ``keep`` keeps it if none is kept, or gives it back to the pool. So a process has one more connection at most.
    3. Each goes back ``SPARE_SECONDS`` after the pool has handed it out, when it is taken next.

    A server that restarts closes the one that is kept, so only what can be repeated is sent through it. Small pools,
    and pools of other classes, hand out each connection themselves.
    """

    def __init__(self) -> None:
        # By pool and process: a forked process must not use the connection of its parent. ``pop`` and ``setdefault``
        # are atomic, also for a signal handler.
        self._kept: dict[tuple[Any, int], Taken] = {}
        weakref.finalize(self, _give_back, self._kept)

    def take(self, pool: Any, *, is_repeatable: bool) -> Taken:
        """Return a connection of ``pool`` for a command. Raises the errors of the pool.

        Only a command that ``is_repeatable`` may get the connection that was kept.
        """
        taken = self._kept.pop((pool, os.getpid()), None) if is_repeatable else None
        now = time.monotonic()
        if taken is not None:
            if now < taken.until:
                return taken
            pool.release(taken.connection)
        return Taken(pool.get_connection(*_COMMAND_NAME), now + SPARE_SECONDS)

    def keep(self, pool: Any, taken: Taken) -> None:
        """Take back a connection whose last command was answered."""
        is_large = type(pool) is ConnectionPool and pool.max_connections >= LARGE_POOL
        if not is_large or self._kept.setdefault((pool, os.getpid()), taken) is not taken:
            pool.release(taken.connection)


def _give_back(kept: dict[tuple[Any, int], Taken]) -> None:
    for (pool, pid), taken in kept.items():
        if pid == os.getpid():
            pool.release(taken.connection)
