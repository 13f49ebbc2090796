"""Makes the client for the Redis in ``OPTIONS``: the client of a cache, or one with a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from django_redis import get_redis_connection  # type: ignore[import-untyped]
from redis import ConnectionPool, Redis
from redis.cluster import ClusterNode, RedisCluster

from ....core.validation import did_you_mean
from ....exceptions import LocoConfigurationError

#: The time limit for replies of the server, unless the project sets another one.
REPLY_SECONDS = 5.0
LIMITS: Any = {"socket_timeout": REPLY_SECONDS, "socket_connect_timeout": REPLY_SECONDS}
#: What to write in place of a URL that redis-py does not know, by the beginning of its scheme.
OTHER_SCHEMES = {
    "redis-cluster": "Write redis://host:6379, and 'cluster': True in the same OPTIONS",
    "redis+sentinel": "For Sentinel name a cache with django_redis.client.SentinelClient in OPTIONS['cache']",
    "redis-sentinel": "For Sentinel name a cache with django_redis.client.SentinelClient in OPTIONS['cache']",
}
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
    members = [ClusterNode(*host_and_port(pool)) for pool in others]  # type: ignore[no-untyped-call]
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


def host_and_port(pool: ConnectionPool) -> tuple[str, int]:
    """Return the address to which a pool connects."""
    options = pool.connection_kwargs
    return options.get("host", "localhost"), options.get("port", 6379)
