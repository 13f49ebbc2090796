"""Makes the client for the Redis in ``OPTIONS``; keeps a connection at hand, and watches for another primary."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from django_redis import get_redis_connection  # type: ignore[import-untyped]
from redis import VERSION, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from ...core.validation import did_you_mean
from ...exceptions import LocoConfigurationError
from ...log.safe import get_logger

logger = get_logger("django_loco.queues")

#: The time limit for replies of the server, unless the project sets another one.
REPLY_SECONDS = 5.0
LIMITS: Any = {"socket_timeout": REPLY_SECONDS, "socket_connect_timeout": REPLY_SECONDS}
#: What to write in place of a URL that redis-py does not know, by the beginning of its scheme.
OTHER_SCHEMES = {
    "redis-cluster": "Write redis://host:6379, and 'cluster': True in the same OPTIONS",
    "redis+sentinel": "For Sentinel name a cache with django_redis.client.SentinelClient in OPTIONS['cache']",
    "redis-sentinel": "For Sentinel name a cache with django_redis.client.SentinelClient in OPTIONS['cache']",
}
#: Older pools of redis-py ask for the name of the command, which newer ones refuse.
_COMMAND_NAME = () if VERSION >= (5, 3) else ("EVALSHA",)
#: The time for which a connection is used without its pool, which checks it and may have to log it in again.
SPARE_SECONDS = 1.0
#: A pool of fewer connections is one that the project has bounded, perhaps to as many as it has threads.
LARGE_POOL = 100
#: The Sentinels are asked this often where the primary is; less often if a look takes long, as commands wait for it.
LOOK_SECONDS, PAUSE_PER_LOOK = 1.0, 10
#: What a look may wait for each Sentinel, unless SENTINEL_KWARGS allows less.
SENTINEL_SECONDS = 0.3
SENTINEL_REMEDY = 'Set DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory".'


@dataclass(frozen=True, kw_only=True)
class Address:
    """A Redis that is not connected yet."""

    name: str
    """The setting with its address."""

    prefix: str
    """The prefix that distinguishes sites which share it."""

    connect: Callable[[], Any]
    """Makes the redis-py client."""

    pool: Any
    """The pool of its connections, as configured; ``None`` for a client that has none."""

    others: int = 0
    """How many further members of a Cluster are named."""


def address_of(alias: str, options: Mapping[str, Any]) -> Address:
    """Return the address of the Redis with the jobs of ``TASKS[alias]``. Raises ``LocoConfigurationError``."""
    setting = f"TASKS[{alias!r}]['OPTIONS']"
    if "url" in options and "cache" in options:
        raise LocoConfigurationError(f"{setting} has both 'cache' and 'url'; name one of them.")
    prefix = options.get("prefix")
    if "url" in options:
        return _by_url(f"{setting}['url']", options["url"], str(prefix or ""), is_cluster=bool(options.get("cluster")))
    cache = options.get("cache", "default")
    client = _by_cache(setting, cache)
    by_cache = settings.CACHES[cache].get("KEY_PREFIX", "")
    return Address(
        name=f"CACHES[{cache!r}]",
        prefix=str(by_cache if prefix is None else prefix),
        connect=lambda: _patient(client),
        pool=getattr(client, "connection_pool", None),
    )


def _by_url(setting: str, url: Any, prefix: str, *, is_cluster: bool) -> Address:
    if isinstance(url, list | tuple) and not is_cluster:
        raise LocoConfigurationError(
            f"{setting} is a list, as for members of a Cluster. Write one URL, or 'cluster': True."
        )
    urls = url or [None] if isinstance(url, list | tuple) else [url]
    pools = [_pool_of(setting, one, is_cluster=is_cluster) for one in urls]
    pool = pools[0]
    if is_cluster:
        others = pools[1:]
        return Address(
            name=setting, prefix=prefix, connect=lambda: _cluster(urls[0], others), pool=pool, others=len(others)
        )
    return Address(name=setting, prefix=prefix, connect=lambda: Redis(connection_pool=pool), pool=pool)


def _cluster(url: str, others: Sequence[ConnectionPool]) -> RedisCluster:
    """Connect to a Cluster through any of the members that are named, with the options of the first one."""
    members = [ClusterNode(*_place(pool)) for pool in others]  # type: ignore[no-untyped-call]
    return RedisCluster.from_url(url, startup_nodes=members, **LIMITS)


def _pool_of(setting: str, url: Any, *, is_cluster: bool) -> ConnectionPool:
    try:
        pool = ConnectionPool.from_url(url, **LIMITS)
        _require_database(url, pool, is_cluster=is_cluster)
        if not is_cluster:
            _require_known_options(pool)
    except (ValueError, TypeError, AttributeError) as error:
        known = (remedy for scheme, remedy in OTHER_SCHEMES.items() if str(url).startswith(scheme))
        default = "Write redis://user:password@host:6379/0, with rediss:// for TLS or unix:// for a socket"
        raise LocoConfigurationError(
            f"{setting} is not the URL of a Redis: {_text_without_url(error).removesuffix('.')}. "
            f"{next(known, default)}."
        ) from None
    return pool


def _require_database(url: str, pool: ConnectionPool, *, is_cluster: bool) -> None:
    """Raise ``ValueError`` for a path that redis-py reads as database 0, and for options that a Cluster lacks.

    The path is not quoted: it may be a part of a password with a slash.
    """
    path = urlsplit(url).path.strip("/")
    if "path" not in pool.connection_kwargs and path and not path.isdecimal():
        raise ValueError("What follows the host is not the number of a database. In a password, write %2F for /")
    if is_cluster and (pool.connection_kwargs.get("db") or "path" in pool.connection_kwargs):
        raise ValueError("A Cluster has only database 0, and no socket; see OPTIONS['cluster']")


def _text_without_url(error: Exception) -> str:
    """Return the text of ``error``, which may be shown in logs, without parts of a URL.

    ``urllib.parse`` takes the part of a password before a slash for the port, and quotes it.
    """
    if "could not be cast to integer" in str(error):
        return "The port is not a number. In a user or a password, write %2F for / and %23 for #."
    return str(error)


def _by_cache(setting: str, cache: Any) -> Any:
    if cache not in tuple(settings.CACHES):
        known = did_you_mean(str(cache), tuple(settings.CACHES))
        raise LocoConfigurationError(f"{setting}['cache'] is {cache!r}, which is not in CACHES.{known}")
    where = f"{setting} keeps jobs in CACHES[{cache!r}]"
    try:
        if not hasattr(caches[cache], "client"):
            raise LocoConfigurationError(
                f"{where}, whose backend is {settings.CACHES[cache]['BACKEND']}; it must be "
                "django_redis.cache.RedisCache. Name such a cache in OPTIONS['cache'], or give OPTIONS['url']."
            )
        client = get_redis_connection(cache)  # connects to nothing yet
        _require_known_options(getattr(client, "connection_pool", None))
    except NotImplementedError as error:
        raise LocoConfigurationError(f"{where}, which spreads keys over several servers; name one server.") from error
    except LocoConfigurationError:
        raise
    except (InvalidCacheBackendError, ImproperlyConfigured, ImportError, TypeError, ValueError) as error:
        remedy = f". {SENTINEL_REMEDY}" if "'sentinel_manager'" in str(error) else ""
        raise LocoConfigurationError(f"{where}: {_text_without_url(error)}{remedy}") from None
    return client


def _require_known_options(pool: Any) -> None:
    """Raise ``TypeError`` now for an option that redis-py does not know. It raises this only when it connects."""
    if pool is not None:
        pool.connection_class(**pool.connection_kwargs)


def _patient(client: Any) -> Any:
    """Set a limit if there is none: older versions of redis-py wait forever for a server that does not answer."""
    pool = getattr(client, "connection_pool", None)
    if pool is not None:
        pool.connection_kwargs.setdefault("socket_timeout", REPLY_SECONDS)
    return client


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
    and those that are not plain ones, hand out each connection themselves.
    """

    def __init__(self) -> None:
        # By pool and process: a forked process must not use the connection of its parent. ``pop`` and ``setdefault``
        # are atomic, also for a signal handler.
        self._kept: dict[tuple[Any, int], Taken] = {}
        weakref.finalize(self, _give_back, self._kept)

    def take(self, pool: Any, *, is_repeatable: bool) -> Taken:
        """Return a connection of ``pool`` for a command, which may be repeatable. Raises the errors of the pool."""
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


class PrimaryWatch:
    """Asks the Sentinels which server is the primary, before a command.

    After a planned failover the old primary answers as before, and confirms writes, until a Sentinel makes it a
    replica some ten seconds later. What it is sent in this time is lost then.
    """

    def __init__(self, name: str, pool: SentinelConnectionPool) -> None:
        """``name`` is the setting with the address of the Sentinels."""
        self._name = name
        self._pool = pool
        self._next_look = 0.0
        self._is_answered = True

    def look(self) -> None:
        """Close the idle connections if another server is the primary. New ones ask the Sentinels where to go.

        Looks once a second at most, and raises nothing: the command says itself if it cannot reach a server.
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
        """Let the next command look, because the server says that it is not the primary, or may not be."""
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
        hasty.sentinels = [Redis(*_place(client.connection_pool), **options) for client in patient.sentinels]
        # The Sentinel that leads a failover names the old primary until it has led all replicas to the new one. The
        # others know better by then.
        hasty.check_master_state = lambda state, service: (
            "failover_in_progress" not in state["flags"] and patient.check_master_state(state, service)
        )
        return hasty

    def _lead_away(self) -> None:
        """Let the pool ask the Sentinel first that knows the new primary; redis-py has put it at the top of ours."""
        place = _place(self._sentinel.sentinels[0].connection_pool)
        manager = self._pool.sentinel_manager
        manager.sentinels = sorted(manager.sentinels, key=lambda client: _place(client.connection_pool) != place)
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


def _place(pool: ConnectionPool) -> tuple[str, int]:
    options = pool.connection_kwargs
    return options.get("host", "localhost"), options.get("port", 6379)
