"""Locks in Redis: a key for each, which expires a day after its last use, and an index of the held locks."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence

from ...queues.listener import QueueListener
from ...queues.redis.codec.answers import decoded
from ...queues.redis.connections.server import RedisServer
from ...queues.redis.listener import Demand, RedisListener
from ..state import LockState
from .base import LockStore, Stored, process_of


class RedisLocks(LockStore):
    """For the queue in Redis, on its connections. Leases are judged by the server's clock."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.process = secrets.token_hex(8)

    def read(self, name: str) -> Stored:
        """Return the stored value of a lock."""
        text, now = self._server.run("lock", (), (_key(name),))
        return Stored(None if text is None else decoded(text), int(now))

    def swap(self, name: str, before: str | None, after: LockState, now: int, wake: str = "") -> bool:
        """Store ``after`` if the text is still ``before``."""
        milliseconds = -(-(after.memory_until(now) - now) // 1000)
        held_until = after.holder.until if after.holder else 0
        arguments = (before or "", after.text(), milliseconds, name, held_until)
        keys = (_key(name), _bell(process_of(wake))) if wake else (_key(name),)
        return bool(self._server.run("lock", arguments, keys))

    def held(self) -> Sequence[tuple[str, Stored]]:
        """Return the stored values of the locks in the index."""
        names = map(decoded, self._server.ask("ZRANGE", self._server.key("locks"), 0, -1))
        return [(name, self.read(name)) for name in names]

    def listener(self) -> QueueListener | None:
        """Return a listener for the bell of this process."""
        demand = Demand()
        demand.note(self.process, frozenset((_bell(self.process),)), math.inf)
        return RedisListener(self._server, demand)


def _bell(process: str) -> str:
    return f"bell:lock:{process}"


def _key(name: str) -> str:
    return f"lock:{name}"
