"""The messages of ``manage.py check`` and ``loco_doctor`` for a Redis that stores jobs.

loco.W005  it cannot be used now
loco.W006  it may delete jobs to free memory
loco.I001  it stores jobs only in memory
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.core import checks
from django.core.checks import CheckMessage

from ...core.job import Job
from ...exceptions import QueueUnavailable
from ..examiner import Examiner, skew_of
from .pages import JobPages
from .server import RedisServer

#: The share of its memory that a server may use before it is reported.
FULL = 0.9


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


class RedisExaminer(Examiner):
    """Examines a Redis beyond ``check``."""

    @property
    def address(self) -> str:
        """The host, the port and the number of the database; never the password."""
        return f"Redis at {_place(self.queue.options.get('url'), self.queue.server)}"

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

        They are those of all keys of the server.
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
        yield from (*_eviction(server), *_persistence(server))
        memory, persistence = server.info("memory"), server.info("persistence")
        if not memory or not persistence or server.configured("save") is None:
            yield checks.Info(
                f"The Redis of {server.name} does not show its configuration, as managed services do "
                f"({'CONFIG' if memory and persistence else 'CONFIG or INFO'} is refused). So it is not known whether "
                "it writes jobs to disk.",
                hint="Look it up with the service: persistence on, maxmemory-policy noeviction.",
                id="redis.hidden",
            )
        limit, used = memory.get("maxmemory", 0), memory.get("used_memory", 0)
        if limit and used >= FULL * limit:
            yield checks.Warning(
                f"The Redis of {server.name} uses {used >> 20} of {limit >> 20} MiB. When it is full, enqueue() fails.",
                hint="Raise maxmemory, let workers catch up, or keep results for a shorter time (LOCO['RESULT_TTL']).",
                id="redis.memory",
            )
        states = ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")
        if failed := [state for state in states if persistence.get(state, "ok") != "ok"]:
            yield checks.Error(
                f"The Redis of {server.name} could not save its data to disk ({', '.join(failed)}).",
                hint="Its log says why: often the disk is full, or the folder may not be written.",
                id="redis.saving",
            )


def _place(url: str | None, server: RedisServer) -> str:
    if url is not None:
        parts = urlsplit(url)
        return parts.path if parts.hostname is None else f"{parts.hostname}:{parts.port or 6379}{parts.path}"
    known = getattr(getattr(server.client, "connection_pool", None), "connection_kwargs", {})
    if "host" in known:
        return f"{known['host']}:{known.get('port', 6379)}/{known.get('db', 0)}"
    return str(known.get("path", server.name))
