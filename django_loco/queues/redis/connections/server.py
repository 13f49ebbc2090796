"""The connection to a Redis: runs scripts and commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from typing import Any, cast

from redis import ConnectionPool, Redis, exceptions
from redis.cluster import RedisCluster
from redis.sentinel import SentinelConnectionPool

from ....exceptions import QueueUnavailable
from ..scripts import COMMANDS, SCRIPTS, Script
from .availability import NO_PRIMARY, UNKNOWN_COMMAND, ExplainedErrors, size_hint
from .client import address_of
from .primary_watch import PrimaryWatch
from .spare_connection import SpareConnection

OLDEST_VERSION = (6, 2)
#: The exceptions of redis-py, which have only ``Exception`` in common.
ERRORS = (exceptions.RedisError, exceptions.RedisClusterException, exceptions.ChildDeadlockedError, OSError)
#: The errors of redis-py and hiredis when another thread closes the connection, and parts of them.
_CLOSED_TYPES = (AttributeError, TypeError, ValueError)
CLOSED = ("'NoneType' object", "closed file", "file descriptor cannot be", "fileno() method")


class RedisServer(ExplainedErrors):
    """The Redis of one alias of ``TASKS``. Connects when it is first used."""

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        """Raises ``LocoConfigurationError``."""
        self._alias = alias
        self._address = address_of(alias, options)
        self.name = self._address.name
        """The setting with its address."""
        self.pool = self._address.pool
        """The pool of its connections, as configured; ``None`` for a client that has none."""
        self.others = self._address.others
        """How many further members of a Cluster are named."""
        self._prefix = f"django-loco:{{{':'.join(filter(None, (self._address.prefix, alias)))}}}:"
        self._keys = {name: tuple(map(self.key, script.keys)) for name, script in SCRIPTS.items()}
        self._is_known, self._spare = False, SpareConnection()
        is_watched = isinstance(self.pool, SentinelConnectionPool) and self.pool.is_master
        self._watch = PrimaryWatch(self.name, self.pool) if is_watched else None

    @cached_property
    def client(self) -> Any:
        """The redis-py client."""
        return self._address.connect()

    @cached_property
    def is_cluster(self) -> bool:
        """Whether the keys are on one server of several."""
        return isinstance(self.client, RedisCluster)

    def key(self, name: str) -> str:
        """Return the full key. The part in braces is the same for all keys, so a Cluster keeps them on one server."""
        return self._prefix + name

    def run(self, name: str, arguments: Sequence[Any], more_keys: Sequence[str] = ()) -> Any:
        """Run the script ``name`` with its own keys and ``more_keys``; return its answer, texts as bytes.

        Raises ``QueueUnavailable``. Running a script twice has the same effect as running it once. So it is sent again
        if the connection breaks: the server was restarted, or has closed an idle connection.
        """
        script, keys = SCRIPTS[name], (*self._keys[name], *_prefixed(self._prefix, tuple(more_keys)))
        start = (len(keys), *keys)
        try:
            if not self._is_known:
                self._check_version()
            try:
                return self._evaluate(script, start, arguments)
            except exceptions.ConnectionError as error:
                if type(error) is not exceptions.ConnectionError:  # subclasses are refusals
                    raise
                return self._evaluate(script, start, arguments)
        except ERRORS as error:
            sent = sum(len(text) for text in arguments if isinstance(text, str | bytes))
            raise self._unavailable(error, sent) from error

    def ask(self, *command: Any) -> Any:
        """Run a single command; return its answer, texts as bytes. Raises ``QueueUnavailable``."""
        with self.explained():
            return self._send(command[:1], command[1:])

    def info(self, section: str) -> Mapping[str, Any]:
        """Return a section of INFO; an empty one if the server refuses to show it. Raises ``QueueUnavailable``."""
        with self.explained(), refusal_suppressed(), _closing_named():
            return cast("Mapping[str, Any]", self.node.info(section))
        return {}

    def configured(self, name: str) -> str | None:
        """Return a setting of the server; ``None`` if the user may not ask for it. Raises ``QueueUnavailable``."""
        with self.explained(), suppress(exceptions.ResponseError), _closing_named():  # managed servers have no CONFIG
            return cast("str | None", self.node.config_get(name).get(name))
        return None

    def probe(self) -> tuple[list[str], str]:
        """Try all commands that scripts use. Raises ``QueueUnavailable``.

        Returns the commands that the server's ACL refuses, and why the server refuses to write at all, if it does.
        """
        commands = "".join("\t".join(command.split()) + "\n" for command in COMMANDS)
        refused, error = (part.decode() for part in self.run("probe", (commands,)))
        return refused.split(), self._explanation(exceptions.ResponseError(error)) if error else ""

    @property
    def node(self) -> Any:
        """The client of the server with our keys, which in a Cluster is one of many."""
        if self.is_cluster:
            return self.client.get_redis_connection(self.client.get_node_from_key(self._prefix))
        return self.client

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Convert errors to ``QueueUnavailable`` with alias, cause and remedy."""
        try:
            yield
        except ERRORS as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception, sent: int = 0) -> QueueUnavailable:
        """Return the error to raise in place of ``error``, after ``sent`` bytes."""
        if any(sign in str(error) for sign in NO_PRIMARY):
            self.node.connection_pool.disconnect(inuse_connections=False)
            if self._watch is not None:
                self._watch.look_soon()
        return QueueUnavailable(f"{self._explanation(error)}{size_hint(error, sent)}")

    def _evaluate(self, script: Script, start: tuple[Any, ...], rest: Sequence[Any]) -> Any:
        try:
            return self._send(("EVALSHA", script.sha, *start), rest, is_repeatable=True)
        except exceptions.NoScriptError:
            return self._send(("EVAL", script.text, *start), rest, is_repeatable=True)

    def _send(self, start: tuple[Any, ...], rest: Sequence[Any], *, is_repeatable: bool = False) -> Any:
        """Send a command; return its answer. ``start`` is the part that hardly changes from call to call."""
        if self._watch is not None:
            self._watch.look()
        client = self.client
        try:
            if type(client) is Redis and client.connection is None:
                command = _packed_command(start, rest)
                return _round_trip(client.connection_pool, command, self._spare, is_repeatable=is_repeatable)
            return client.execute_command(*start, *rest, NEVER_DECODE=True)
        except _CLOSED_TYPES:
            with _closing_named():
                raise

    def _check_version(self) -> None:
        """Refuse a server that is too old."""
        version = str(self.info("server").get("redis_version", "6.2"))
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
            raise exceptions.RedisError(f"it is Redis {version}, and django-loco needs 6.2 or later.")
        self._is_known = True


class refusal_suppressed:  # noqa: N801 - like contextlib.suppress
    """Go on if the server refuses a command that is not needed: by its ACL, or because it is disabled or renamed."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        return isinstance(error, exceptions.NoPermissionError) or (
            isinstance(error, exceptions.ResponseError) and UNKNOWN_COMMAND in str(error)
        )


@lru_cache(maxsize=250)
def _prefixed(prefix: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(prefix + name for name in names)


def _packed_command(start: tuple[Any, ...], rest: Sequence[Any]) -> bytes:
    """Return a command as it is sent (RESP, "arrays of bulk strings").

    Without hiredis, redis-py takes 17 µs for a script with six keys, and this function 3 µs: most of a command rarely
    changes.
    """
    return b"*%d\r\n%b%b" % (len(start) + len(rest), _packed_start(start), _packed(rest))


@lru_cache(maxsize=250)
def _packed_start(words: tuple[Any, ...]) -> bytes:
    return _packed(words)


def _packed(words: Iterable[Any]) -> bytes:
    parts = []
    for word in words:
        text = word.encode() if isinstance(word, str) else word if isinstance(word, bytes) else b"%d" % word
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


def _round_trip(pool: ConnectionPool, command: bytes, spare: SpareConnection, *, is_repeatable: bool) -> Any:
    """Do the same as ``Redis.execute_command`` in half of the time: without telemetry and conversion of the answer.

    The connection has the retries that the project has configured.
    """
    taken = spare.take(pool, is_repeatable=is_repeatable)
    connection = taken.connection

    def send_and_read() -> Any:
        connection.send_packed_command([command])
        return connection.read_response(disable_decoding=True)

    try:
        answer = connection.retry.call_with_retry(send_and_read, lambda _: connection.disconnect())
    except BaseException as error:
        if not isinstance(error, exceptions.ResponseError):  # a Ctrl-C, say: the next command would get this answer
            connection.disconnect()
        pool.release(connection)
        raise
    spare.keep(pool, taken)
    return answer


class _closing_named:  # noqa: N801 - a context manager, which as a class takes a third of the time
    """Explain the error of redis-py when another thread closes the pool (``DJANGO_REDIS_CLOSE_CONNECTION``)."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, _CLOSED_TYPES) and any(sign in str(error) for sign in CLOSED):
            raise exceptions.ConnectionError(f"The connection was closed meanwhile: {error}") from error
