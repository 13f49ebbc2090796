"""The messages of ``manage.py check`` and ``loco_doctor`` for a Redis that stores jobs.

loco.W002  the pool has too few connections for a worker
loco.W005  it cannot be used now
loco.W006  it may delete jobs to free memory
loco.I001  it stores jobs only in memory
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage

from ...conf import loco_settings
from ...core.job import Job
from ...exceptions import QueueUnavailable
from ...log.plain_text import counted
from ..examiner import Examiner, skew_of
from .pages import JobPages
from .server import RedisServer

#: The share of its memory that a server may use before it is reported.
FULL = 0.9
#: Connections of a worker beside one per job thread: fetcher, heartbeat, housekeeping, listener.
EXTRA_CONNECTIONS = 4
#: What to do about a server that is full, or soon will be.
ROOM = (
    "Raise maxmemory, delete jobs that have ended (loco_jobs delete status:successful --yes), or keep fewer: "
    "LOCO['RESULT_TTL'], OPTIONS['max_results'] and the retention of tasks hold for workers that start later."
)
AWAY = "The site starts nevertheless; enqueue() raises QueueUnavailable and workers try again until it is back."


def check(server: RedisServer) -> list[CheckMessage]:
    """Check the configuration of the server. Settings that its ACL hides are not reported."""
    try:
        return [*_connections(server), *_usable(server), *_eviction(server), *_persistence(server)]
    except QueueUnavailable as error:
        return [checks.Warning(str(error), hint=AWAY, id="loco.W005")]


def _connections(server: RedisServer) -> Iterator[CheckMessage]:
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


def _eviction(server: RedisServer) -> Iterator[CheckMessage]:
    policy = server.info("memory").get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        deleted = "statistics and the last answers to workers" if "volatile" in policy else "keys, jobs too"
        yield checks.Warning(
            f"The Redis of {server.name} has maxmemory-policy {policy!r}: when it is full it deletes {deleted}.",
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


class RedisExaminer(Examiner):
    """Examines a Redis beyond ``check``."""

    @property
    def address(self) -> str:
        """The host, the port and the number of the database; never the password."""
        return f"Redis at {_place(self.queue.server)}"

    @property
    def setting(self) -> str:
        """The setting that has its address."""
        return str(self.queue.server.name)

    def skew(self) -> float:
        """Return by how many seconds the server's clock is ahead."""
        return skew_of(self.queue.clock)

    def size(self) -> int | None:
        """Return the memory of the whole server, in bytes; ``None`` if it hides that."""
        used = self.queue.server.info("memory").get("used_memory")
        return None if used is None else int(used)

    def change_token(self) -> str | None:
        """Return the server's count of changes since it saved its data, and when that was; ``None`` if it hides them.

        They count the changes of all keys of the server.
        """
        found = self.queue.server.info("persistence")
        names = ("rdb_changes_since_last_save", "rdb_last_save_time")
        return " ".join(str(found[name]) for name in names) if found.keys() >= {*names} else None

    def expired(self, limit: int = 100) -> list[Job]:
        """Return jobs whose lease has run out."""
        return JobPages(self.queue.server, self.queue.alias).shown("", limit)

    def messages(self, connections: int) -> Iterator[CheckMessage]:  # noqa: ARG002 - each thread has at most one
        """Yield what is wrong with the server, and what it hides.

        Unlike ``check`` it does not try whether the ACL refuses commands, as that writes for a moment.
        """
        server: RedisServer = self.queue.server
        yield from (*_connections(server), *_eviction(server), *_persistence(server))
        memory, persistence = server.info("memory"), server.info("persistence")
        if not memory or not persistence or server.configured("save") is None:
            yield checks.Info(
                f"The Redis of {server.name} does not show its configuration, as managed services do "
                f"({'CONFIG' if memory and persistence else 'CONFIG or INFO'} is refused). So it is not known whether "
                "it writes jobs to disk.",
                hint="Look it up with the service: persistence on, maxmemory-policy noeviction.",
                id="redis.hidden",
            )
        yield from _memory_use(server, memory)
        if server.info("replication").get("role") == "slave":
            yield checks.Error(
                f"The Redis of {server.name} is a replica, so it takes no jobs.",
                hint="Give the address of the primary, or use Sentinel, which finds it.",
                id="redis.replica",
            )
        states = ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")
        if failed := [state for state in states if persistence.get(state, "ok") != "ok"]:
            yield checks.Error(
                f"The Redis of {server.name} could not save its data to disk ({', '.join(failed)}).",
                hint="Its log says why: often the disk is full, or the folder may not be written.",
                id="redis.saving",
            )


def _memory_use(server: RedisServer, memory: Mapping[str, Any]) -> Iterator[CheckMessage]:
    """``memory`` is that part of ``INFO``."""
    limit, used = memory.get("maxmemory", 0), memory.get("used_memory", 0)
    if limit and used >= FULL * limit:
        kind, effect = (
            (checks.Error, "It is full: enqueue() fails")
            if used >= limit
            else (checks.Warning, "When it is full, enqueue() fails")
        )
        text = f"The Redis of {server.name} uses {used >> 20} of {limit >> 20} MiB. {effect}."
        yield kind(text, hint=ROOM, id="redis.memory")
    # No system check: an error there would keep the site from starting because of a past event.
    evicted = server.info("stats").get("evicted_keys", 0)
    if evicted and memory.get("maxmemory_policy", "").startswith("allkeys"):
        yield checks.Error(
            f"The Redis of {server.name} has deleted {counted(evicted, 'key', 'keys')} since it started, to free "
            "memory: jobs may be gone.",
            hint="Set maxmemory-policy to noeviction. Jobs that have lost their text fail, with the reason: "
            "loco_jobs list status:failed.",
            id="redis.evicted",
        )


def _place(server: RedisServer) -> str:
    known = getattr(server.pool, "connection_kwargs", None)
    if known is None:
        return server.name
    if "path" in known:
        return f"{known['path']}, database {known['db']}" if known.get("db") else str(known["path"])
    database = known.get("db") or 0
    if service := getattr(server.pool, "service_name", None):
        primary = server.pool.master_address  # nothing before the first connection
        now = f"now {primary[0]}:{primary[1]}" if primary else "not yet known"
        return f"the primary of {service!r} ({now}), database {database}"
    others = f" and {counted(server.others, 'other member', 'other members')}" if server.others else ""
    return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}/{database}{others}"
