"""The messages of ``manage.py check`` for a Redis that stores jobs. ``loco_doctor`` has some of them as well.

loco.W002  the pool has too few connections for a worker
loco.W005  it cannot be used now
loco.W006  it may delete jobs to free memory
loco.I001  it stores jobs only in memory
"""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks
from django.core.checks import CheckMessage

from ...conf import loco_settings
from ...exceptions import QueueUnavailable
from .connections.server import RedisServer

#: Connections of a worker beside one per job thread: fetcher, heartbeat, housekeeping, listener.
EXTRA_CONNECTIONS = 4
AWAY = "The site starts nevertheless; enqueue() raises QueueUnavailable and workers try again until it is back."


def check(server: RedisServer) -> list[CheckMessage]:
    """Check the configuration of the server. Settings that its ACL hides are not reported."""
    try:
        return [*pool_messages(server), *_usable(server), *eviction_messages(server), *persistence_messages(server)]
    except QueueUnavailable as error:
        return [checks.Warning(str(error), hint=AWAY, id="loco.W005")]


def pool_messages(server: RedisServer) -> Iterator[CheckMessage]:
    """Yield a message if the pool has too few connections for a worker."""
    limit = getattr(server.pool, "max_connections", None)
    needed = loco_settings().NUM_WORKERS + EXTRA_CONNECTIONS
    if limit is not None and limit < needed:
        yield checks.Warning(
            f"The pool of {server.name} holds {limit} connections; a worker wants up to {needed} "
            f"(NUM_WORKERS + {EXTRA_CONNECTIONS}).",
            hint=f"Set its max_connections to {needed} or more, or LOCO['NUM_WORKERS'] to "
            f"{max(limit - EXTRA_CONNECTIONS, 1)}.",
            id="loco.W002",
        )


def _usable(server: RedisServer) -> Iterator[CheckMessage]:
    refused, error = server.probe()
    if refused:
        yield checks.Warning(
            f"The ACL of the Redis of {server.name} refuses commands that scripts use: {', '.join(refused)}.",
            hint=f"Allow this user {' '.join(f'+{command.lower()}' for command in refused)}.",
            id="loco.W005",
        )
    if error:
        yield checks.Warning(error, hint=AWAY, id="loco.W005")


def eviction_messages(server: RedisServer) -> Iterator[CheckMessage]:
    """Yield a message if the server may delete jobs to free memory."""
    policy = server.info("memory").get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        deleted = "statistics and the last answers to workers" if "volatile" in policy else "keys, jobs too"
        yield checks.Warning(
            f"The Redis of {server.name} has maxmemory-policy {policy!r}: when it is full it deletes {deleted}.",
            hint="Set maxmemory-policy to noeviction, or keep jobs in a Redis that is not a cache as well.",
            id="loco.W006",
        )


def persistence_messages(server: RedisServer) -> Iterator[CheckMessage]:
    """Yield a message if the server stores jobs only in memory."""
    has_log = server.info("persistence").get("aof_enabled", 1)
    if not has_log and server.configured("save") == "":
        yield checks.Info(
            f"The Redis of {server.name} writes nothing to disk: if it is restarted, the jobs in it are gone.",
            hint="Set appendonly to yes in its configuration.",
            id="loco.I001",
        )
