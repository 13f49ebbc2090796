"""Leaves a primary that Sentinel has replaced."""

from __future__ import annotations

import time
from copy import copy
from functools import cached_property
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from ....log.safe import get_logger
from .client import host_and_port

logger = get_logger("django_loco.queues")

#: Seconds between two questions to the Sentinels, and the least multiple of the time of a question, as commands wait.
LOOK_SECONDS, PAUSE_PER_LOOK = 1.0, 10
#: The longest wait for one Sentinel, unless SENTINEL_KWARGS allows less.
SENTINEL_SECONDS = 0.3


class PrimaryWatch:
    """Asks the Sentinels which server is the primary, before a command.

    After a planned failover the old primary answers as before, and confirms writes, until a Sentinel makes it a
    replica some ten seconds later. Then the writes of these seconds are lost.
    """

    def __init__(self, name: str, pool: SentinelConnectionPool) -> None:
        """``name`` is the setting with the address of the Sentinels."""
        self._name = name
        self._pool = pool
        self._next_look = 0.0
        self._is_answered = True

    def look(self) -> None:
        """Close the idle connections if another server is the primary. New ones ask the Sentinels where to go.

        Looks at most once a second. Raises nothing, because the command itself fails if it cannot reach a server.
        """
        started, used = time.monotonic(), self._pool.master_address
        if started < self._next_look or used is None:
            return
        self._next_look = started + LOOK_SECONDS
        try:
            primary = self._sentinel.discover_master(self._pool.service_name)
        except (RedisError, OSError) as error:
            self._log(error)
        else:
            self._is_answered = True
            if primary != used:
                self._lead_away()
        took = time.monotonic() - started
        self._next_look = started + max(LOOK_SECONDS, took * PAUSE_PER_LOOK)

    def look_soon(self) -> None:
        """Let the next command look: the server has said that it is not the primary, or may not be."""
        self._next_look = 0.0

    @cached_property
    def _sentinel(self) -> Any:
        """The Sentinels of the pool, on connections of their own, which give up sooner."""
        patient = self._pool.sentinel_manager
        limits = {
            limit: min(patient.sentinel_kwargs.get(limit) or SENTINEL_SECONDS, SENTINEL_SECONDS)
            for limit in ("socket_timeout", "socket_connect_timeout")
        }
        options = patient.sentinel_kwargs | limits | {"retry": Retry(NoBackoff(), 0)}
        hasty = copy(patient)
        hasty.sentinels = [Redis(*host_and_port(client.connection_pool), **options) for client in patient.sentinels]
        # The Sentinel that leads a failover names the old primary until it has led all replicas to the new one. The
        # others know better by then.
        hasty.check_master_state = lambda state, service: (
            "failover_in_progress" not in state["flags"] and patient.check_master_state(state, service)
        )
        return hasty

    def _lead_away(self) -> None:
        """Let the pool first ask the Sentinel that knows the new primary. redis-py has put it first in our list."""
        place = host_and_port(self._sentinel.sentinels[0].connection_pool)
        manager = self._pool.sentinel_manager
        manager.sentinels = sorted(manager.sentinels, key=lambda client: host_and_port(client.connection_pool) != place)
        self._pool.disconnect(inuse_connections=False)

    def _log(self, error: Exception) -> None:
        if self._is_answered:
            host, port = self._pool.master_address or ("", "")
            said = str(error).partition(" : ")[0]  # the others are the clients of the Sentinels
            logger.warning(
                "The Sentinels of %s do not say which server is the primary, so %s:%s is used: %s",
                self._name,
                host,
                port,
                said,
            )
        self._is_answered = False
