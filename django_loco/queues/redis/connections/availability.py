"""Says why a Redis cannot be used now, with the remedy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from redis import SSLConnection, exceptions
from redis.sentinel import MasterNotFoundError

from ....exceptions import QueueUnavailable

#: Errors of Redis when its ACL refuses a key, or a command of a script, which the error does not name.
FOREIGN_KEY, FOREIGN_COMMAND = "permissions to access", "can't run this command"
#: Bytes. The limit of a server for a single value cannot be smaller than a megabyte.
LARGE = 2**20
#: Parts of the errors of a server that is no longer the primary, or may not be. The second is redis-py's.
REPLICA, FORMER_PRIMARY, NO_REPLICAS = NO_PRIMARY = "read only replica", "is now a slave", "NOREPLICAS"
NO_MEMBER = "at least one reachable node"
UNKNOWN_COMMAND = "unknown command"
#: Parts of the errors of Redis, and their remedies. In a script the part is within a longer text.
REMEDIES = {
    "'maxmemory'": "It is full: loco_jobs delete status:successful --yes frees memory at once; a shorter RESULT_TTL "
    "or a smaller max_results does so when the workers have restarted. Or raise its maxmemory.",
    REPLICA: "It is a replica now; jobs go to the primary: name that one in {name}.",
    FORMER_PRIMARY: "The Sentinels name the new one soon.",
    NO_REPLICAS: "Too few replicas follow it (its min-replicas-to-write), so it takes no jobs. Start them, or lower "
    "that setting. After a failover this ends when the old primary is a replica.",
    "loading the dataset": "It is reading its data from disk and will answer when that is done.",
    "busy running a script": "Another script holds it up; redis-cli SCRIPT KILL ends that one.",
    "killed by user": "Somebody ended our script (SCRIPT KILL); it had changed nothing.",
    "MISCONF": "It cannot save its data to disk; its log says why.",
    "HELLO must be called": "It wants a password.",
    "Authentication required": "It wants a password.",
    "invalid username-password": "It does not know this user or password.",
    "no permissions to run": "Its ACL must allow this user +@scripting +@read +@write +@blocking +@connection +time.",
    "max number of clients": "It has no room for more connections: raise its maxclients.",
    "Too many connections": "Raise max_connections in {name}: a worker needs up to NUM_WORKERS + 4.",
    "No connection available": "Raise max_connections in {name}: a worker needs up to NUM_WORKERS + 4.",
    "DB index is out of range": "Correct the number of the database in {name}, or raise its setting 'databases'.",
    "Connection refused": "Start it, or correct its address.",
    "Name or service not known": "Correct its address.",
    "Operation against a key": "Something else uses our keys; give OPTIONS['prefix'].",
    "of a Cluster sends": "Name it in OPTIONS['url'], and set OPTIONS['cluster'] to True.",
    "cluster is down": "Members are away, and no replica has taken over yet: redis-cli --cluster check says which.",
    "Cluster mode is not enabled": "Remove 'cluster' from OPTIONS.",
    "No master found": "Correct the name of the service or SENTINELS; or there is no primary at present.",
    "CERTIFICATE_VERIFY_FAILED": "Give ssl_ca_certs, the file of the CA that has signed the server's certificate, and "
    "address the server by a name in that.",
    "CERTIFICATE_REQUIRED": "It wants a certificate of this client: give ssl_certfile and ssl_keyfile.",
}
#: The options of TLS that name files.
TLS_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
#: Parts of the errors if only one side speaks TLS.
NO_TLS = ("Timeout", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "EOF", "Connection closed", "reset by peer")


class ExplainedErrors(ABC):
    """What the errors of one Redis mean."""

    name: str
    pool: Any
    _alias: str
    _prefix: str
    _is_known: bool
    """Whether it has answered before."""

    @abstractmethod
    def info(self, section: str) -> Mapping[str, Any]:
        """Return a section of INFO. Raises ``QueueUnavailable``."""

    @abstractmethod
    def probe(self) -> tuple[list[str], str]:
        """Return the commands that the server's ACL refuses, and why it refuses to write at all, if it does."""

    def _explanation(self, error: Exception) -> str:
        said = _text_of(error)
        remedy = next((f" {remedy}" for sign, remedy in REMEDIES.items() if sign in said), "").format(name=self.name)
        where = f"The jobs of TASKS[{self._alias!r}] are in Redis ({self.name}), "
        remedy = remedy or self._correction(said) or self._permit(said) or self._enable(said)
        if NO_MEMBER in said:
            remedy += " The Cluster may be fine: name several of its members, as a list."
        return f"{where}which cannot be used now: {said}.{remedy}"

    def _correction(self, said: str) -> str:
        """Return what to correct in the setting, for an error of making a connection."""
        options = getattr(self.pool, "connection_kwargs", {})
        if "No such file" in said:
            missing = [f"{options[name]} ({name})" for name in TLS_FILES if not Path(options.get(name) or "/").exists()]
            if missing or "path" not in options:
                return f" There is no file {', '.join(missing)}." if missing else ""
            return " Start it, or correct the path, which has three slashes: unix:///run/redis.sock."
        if self.pool is None or self._is_known or not any(sign in said for sign in NO_TLS):
            return ""
        if issubclass(self.pool.connection_class, SSLConnection):
            return (
                " If it does not speak TLS at this port, write redis://; if it wants a certificate, give ssl_certfile."
            )
        return "" if "Timeout" in said else " If it speaks TLS at this port, write rediss://."

    def _permit(self, said: str) -> str:
        """Return what the ACL has to allow, for the error of a refusal inside a script."""
        if FOREIGN_KEY in said:
            return f" Its ACL must allow this user the keys of django-loco: ~{self._prefix}*"
        if FOREIGN_COMMAND not in said:
            return ""
        with suppress(QueueUnavailable):
            refused = " ".join(f"+{command.lower()}" for command in self.probe()[0])
            return f" Its ACL must allow this user {refused or 'the commands that scripts use: +@read +@write'}."
        return ""

    def _enable(self, said: str) -> str:
        """Return the remedy for the error of a server that does not know a command."""
        if UNKNOWN_COMMAND not in said:
            return ""
        with suppress(QueueUnavailable):
            if self.info("server").get("redis_mode") == "sentinel":
                return " It is a Sentinel: name a cache with SentinelClient in OPTIONS['cache']."
        return (
            " django-loco needs this command, and the server has it disabled or renamed (rename-command): enable it "
            "there."
        )


def _text_of(error: Exception) -> str:
    said = str(error).strip()
    if isinstance(error, exceptions.AskError):  # also MovedError; both have only a slot and an address as text
        return f"this member of a Cluster sends us to {said}"
    if isinstance(error, MasterNotFoundError):
        said = said.partition(" : ")[0]  # the others are the clients of the Sentinels
    said = said.partition(" script: ")[0]  # the digest of ours, and a line in it
    if UNKNOWN_COMMAND in said:
        said = said.partition(", with args beginning with")[0]  # which may be a whole script
    return said.rstrip(".") or type(error).__name__


def size_hint(error: Exception, sent: int) -> str:
    """Return a hint if the request was large: a server may close the connection then, mostly without a reason."""
    if sent < LARGE or not isinstance(error, exceptions.ConnectionError | exceptions.ResponseError | OSError):
        return ""
    return f" It was sent {sent:,} bytes; its proto-max-bulk-len may be smaller."
