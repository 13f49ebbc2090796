"""The messages of ``manage.py check`` for a Redis that stores jobs.

loco.W005  it cannot be used now
loco.W006  it may delete jobs to free memory
loco.I001  it stores jobs only in memory
"""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks
from django.core.checks import CheckMessage

from ...exceptions import QueueUnavailable
from .server import RedisServer


def check(server: RedisServer) -> list[CheckMessage]:
    """Check the configuration of the server. Settings that its ACL hides are not reported."""
    try:
        return [*_permissions(server), *_eviction(server), *_persistence(server)]
    except QueueUnavailable as error:
        hint = "The site starts nevertheless; enqueue() raises QueueUnavailable and workers try again until it is back."
        return [checks.Warning(str(error), hint=hint, id="loco.W005")]


def _permissions(server: RedisServer) -> Iterator[CheckMessage]:
    if refused := server.refused_commands():
        yield checks.Warning(
            f"The ACL of the Redis of {server.name} refuses commands that scripts use: {', '.join(refused)}.",
            hint=f"Allow this user {' '.join(f'+{command.lower()}' for command in refused)}.",
            id="loco.W005",
        )


def _eviction(server: RedisServer) -> Iterator[CheckMessage]:
    policy = server.info("memory").get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield checks.Warning(
            f"The Redis of {server.name} has maxmemory-policy {policy!r}: when it is full it deletes keys, jobs too.",
            hint="Set maxmemory-policy to noeviction, or keep jobs in a Redis that is not a cache as well.",
            id="loco.W006",
        )


def _persistence(server: RedisServer) -> Iterator[CheckMessage]:
    has_log = server.info("persistence").get("aof_enabled", 1)
    if not has_log and server.configured("save") == "":
        yield checks.Info(
            f"The Redis of {server.name} writes nothing to disk: if it is restarted, the jobs in it are gone.",
            hint="Set appendonly to yes in its configuration.",
            id="loco.I001",
        )
