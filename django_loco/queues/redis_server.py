"""Where Redis is, how a script is run there, and what it means when that fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django_redis import get_redis_connection
from redis import ConnectionPool, Redis
from redis.cluster import RedisCluster
from redis.exceptions import (
    ConnectionError as ConnectionLost,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
)

from ..conf import did_you_mean
from ..exceptions import LocoConfigurationError, QueueUnavailable
from .redis_scripts import Script

logger = logging.getLogger("django_loco.queues")

OLDEST_VERSION = (6, 2)
#: Seconds after which a server that says nothing is given up, unless the project sets another limit.
TIMEOUT = 5.0
#: What Redis says when it refuses, and what that calls for. It says some of it only inside of a longer text.
REMEDIES = {
    "OOM": "It is full: raise its maxmemory, or let workers catch up and results expire sooner (RESULT_TTL).",
    "READONLY": "It is a replica now; jobs go to the primary. Sentinel finds that one by itself.",
    "loading the dataset": "It is reading its data from disk and will answer when that is done.",
    "BUSY": "Another script holds it up; redis-cli SCRIPT KILL ends that one.",
    "SCRIPT KILL": "Somebody ended our script; it had changed nothing and will be run again.",
    "MISCONF": "It cannot save its data to disk; its log says why.",
    "NOAUTH": "It wants a password.",
    "invalid username-password": "It does not know this user or password.",
    "no permissions": "Its ACL must allow this user scripts (@scripting) and the commands that they use.",
    "max number of clients": "It has no room for more connections: raise its maxclients.",
    "unknown command": "django-loco needs Redis 6.2 or later.",
    "Too many connections": "The pool in CACHES is exhausted: raise max_connections.",
}


class RedisServer:
    """The Redis of one alias of ``TASKS``: that of a cache, or one with a URL. Connects when it is first used."""

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        """Raises ``LocoConfigurationError``."""
        self._alias = alias
        self._setting = f"TASKS[{alias!r}]['OPTIONS']"
        if "url" in options and "cache" in options:
            raise LocoConfigurationError(f"{self._setting} has both 'cache' and 'url'; name one of them.")
        if "url" in options:
            self.name = f"{self._setting}['url']"
            self.client = self._client_of_url(options["url"])
            prefix = ""
        else:
            cache = options.get("cache", "default")
            self.name = f"CACHES[{cache!r}]"
            self.client = self._client_of_cache(cache)
            prefix = str(settings.CACHES[cache].get("KEY_PREFIX", ""))
        self._prefix = "django-loco:{%s}:" % ":".join(filter(None, (options.get("prefix", prefix), alias)))  # noqa: UP031
        self._is_known = False

    def key(self, name: str) -> str:
        """Return the full key. What is in braces is the same in all, so that a Cluster keeps them together."""
        return self._prefix + name

    def run(
        self, script: Script, arguments: Sequence[Any], more_keys: Sequence[str] = (), *, again: Sequence[Any] = ()
    ) -> Any:
        """Run ``script`` with its own keys and ``more_keys``; return its answer, texts as bytes.

        Raises ``QueueUnavailable``. Every script may be run twice with the same effect as once. That is why it is sent
        again, with the arguments ``again`` in addition, when the connection is lost: the server was restarted, or has
        closed a connection that it took for idle.
        """
        keys = [*map(self.key, script.keys), *map(self.key, more_keys)]
        with self.explained():
            self._get_to_know()
            try:
                return self._evaluate(script, keys, arguments)
            except ConnectionLost as error:
                if type(error) is not ConnectionLost:  # it was not lost, but refused
                    raise
                return self._evaluate(script, keys, (*arguments, *again))

    def ask(self, *command: Any) -> Any:
        """Run a single command; return its answer, texts as bytes. Raises ``QueueUnavailable``."""
        with self.explained():
            return self.client.execute_command(*command, NEVER_DECODE=True)

    @property
    def node(self) -> Any:
        """The client of the one server that has our keys, which in a Cluster is one of many."""
        if isinstance(self.client, RedisCluster):
            return self.client.get_redis_connection(self.client.get_node_from_key(self._prefix))
        return self.client

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what goes wrong into ``QueueUnavailable`` with alias, cause and remedy."""
        try:
            yield
        except (RedisError, OSError) as error:
            if isinstance(error, ReadOnlyError) or "READONLY" in str(error):
                self._look_again()
            raise QueueUnavailable(self._explanation(error)) from error

    def _evaluate(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        rest = (len(keys), *keys, *arguments)
        try:
            return self.client.execute_command("EVALSHA", script.sha, *rest, NEVER_DECODE=True)
        except NoScriptError:
            return self.client.execute_command("EVAL", script.text, *rest, NEVER_DECODE=True)

    def _get_to_know(self) -> None:
        """Refuse a server that is too old, at first use."""
        if self._is_known:
            return
        try:
            version = str(self.node.info("server")["redis_version"])
        except NoPermissionError:  # then it is at least one that has permissions: 6.0
            version = "6.2"
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
            raise RedisError(f"it is Redis {version}, and django-loco needs 6.2 or later.")
        self._is_known = True

    def _look_again(self) -> None:
        """Drop the connections to a server that is not the primary any more."""
        self.node.connection_pool.disconnect(inuse_connections=False)

    def _explanation(self, error: Exception) -> str:
        said = str(error).strip() or type(error).__name__
        remedy = next((f" {remedy}" for sign, remedy in REMEDIES.items() if sign in said), "")
        return f"The jobs of TASKS[{self._alias!r}] are in Redis ({self.name}), which cannot be used now: {said}{remedy}"

    def _client_of_url(self, url: Any) -> Any:
        try:
            pool = ConnectionPool.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        except (ValueError, TypeError, AttributeError) as error:
            raise LocoConfigurationError(
                f"{self.name} is no URL of a Redis: {error} It looks like redis://user:password@host:6379/0, "
                "with rediss:// for TLS or unix:// for a socket."
            ) from error
        return Redis(connection_pool=pool)

    def _client_of_cache(self, cache: Any) -> Any:
        try:
            client: Any = get_redis_connection(cache)
        except InvalidCacheBackendError as error:
            if cache in settings.CACHES:
                raise LocoConfigurationError(f"{self.name} cannot be used: {error}") from error
            raise LocoConfigurationError(
                f"{self._setting}['cache'] is {cache!r}, which is not in CACHES.{did_you_mean(str(cache), [*settings.CACHES])}"
            ) from error
        except NotImplementedError as error:
            raise LocoConfigurationError(
                f"{self._setting} keeps jobs in {self.name}, whose backend is {settings.CACHES[cache]['BACKEND']}; it "
                "must be django_redis.cache.RedisCache. Name such a cache in OPTIONS['cache'], or give OPTIONS['url']."
            ) from error
        if not isinstance(client, RedisCluster):
            # Older versions of redis-py wait for ever for a server that has gone silent.
            client.connection_pool.connection_kwargs.setdefault("socket_timeout", TIMEOUT)
        return client
