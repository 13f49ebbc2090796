"""Examines a Redis that stores jobs: its clock, its memory, what it hides, and whether it saves its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage

from ...core.job import Job
from ...log.plain_text import counted
from ..examiner import Examiner, skew_of
from .check import eviction_messages, persistence_messages, pool_messages
from .connections.server import RedisServer
from .lookups import RedisLookups

#: The share of its memory that a server may use before it is reported.
FULL = 0.9
#: What to do about a server that is full, or soon will be.
ROOM = (
    "Raise maxmemory, delete jobs that have ended (loco_jobs delete status:successful --yes), or keep fewer: "
    "LOCO['RESULT_TTL'], OPTIONS['max_results'] and the retention of tasks hold for workers that start later."
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
        return RedisLookups(self.queue.server, self.queue.alias).shown("", limit)

    def messages(self, connections: int) -> Iterator[CheckMessage]:  # noqa: ARG002 - each thread has at most one
        """Yield what is wrong with the server, and what it hides.

        Unlike ``check`` it does not try whether the ACL refuses commands, as that writes for a moment.
        """
        server: RedisServer = self.queue.server
        yield from (*pool_messages(server), *eviction_messages(server), *persistence_messages(server))
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
