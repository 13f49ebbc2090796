"""Who starts the index service, and when it ends.

Whoever needs it first: a page of the site, or a job in a worker that runs alone. If two try at once, the port
decides. It listens on the loopback address in a session of its own, so that Ctrl-C in the terminal does not
take it away from jobs that are just being finished.

Every process that uses it holds one idle connection open, the lifeline. When the last one is gone, whether it was
closed by a shutdown or by ``kill -9``, the service writes its file and ends.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import threading
from typing import Any

from django.conf import settings

from django_loco import shutdown

HOST = "127.0.0.1"
TIMEOUT = 10.0  # seconds that a call may take
GREETING = 2.0  # seconds in which the service says who it is

_lock = threading.Lock()
_lifeline: Lifeline | None = None


class ServiceUnavailable(Exception):
    """The index service does not answer, and could not be started."""


class Lifeline:
    """The connection that says: this process still needs the service."""

    def __init__(self) -> None:
        self.connection = connect(timeout=GREETING)
        self._require_ours()
        self.connection.sock.setblocking(False)

    def __repr__(self) -> str:
        return "the connection to the index service"

    def close(self) -> None:
        self.connection.close()

    @property
    def is_cut(self) -> bool:
        """Whether the service has closed its end: nothing is ever sent on an idle connection but that."""
        if self.connection.sock is None:
            return True
        try:
            return self.connection.sock.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _require_ours(self) -> None:
        """Another shop on this machine may have the same port in mind."""
        try:
            found = ask(self.connection, "GET", "/status")["file"]
        except (OSError, http.client.HTTPException, ServiceUnavailable, ValueError, LookupError, TypeError):
            found = "something that is no index service"
        if found != str(settings.SHOP_INDEX_FILE):
            self.close()
            raise ServiceUnavailable(
                f"Port {settings.SHOP_INDEX_PORT} is taken by another program ({found}). Set SHOP_INDEX_PORT."
            )


def connect(timeout: float = TIMEOUT) -> http.client.HTTPConnection:
    """Return a new connection. Raises ``OSError`` if nobody listens."""
    connection = http.client.HTTPConnection(HOST, settings.SHOP_INDEX_PORT, timeout=timeout)
    connection.connect()
    return connection


def ask(connection: http.client.HTTPConnection, method: str, target: str, content: Any = None) -> Any:
    """Make one call and return what it answers."""
    connection.request(method, target, None if content is None else json.dumps(content))
    with connection.getresponse() as response:
        answer = response.read()
    if response.status != 200:
        raise ServiceUnavailable(f"The index service answered {response.status} to {method} {target}.")
    return json.loads(answer)


def ensure_running() -> None:
    """Make sure that the service runs, and goes on running as long as this process does.

    Raises ``ServiceUnavailable``.
    """
    global _lifeline
    with _lock:
        if _lifeline is None or _lifeline.is_cut:
            let_go()
            _lifeline = _find_or_start()
            shutdown.track(_lifeline)


def let_go() -> None:
    """Say that this process no longer needs the service."""
    if _lifeline is not None:
        shutdown.untrack(_lifeline)
        _lifeline.close()


def _find_or_start() -> Lifeline:
    with contextlib.suppress(ConnectionRefusedError):
        return Lifeline()
    _start()
    try:
        return Lifeline()
    except ConnectionRefusedError:
        raise ServiceUnavailable(f"The index service did not start on port {settings.SHOP_INDEX_PORT}.") from None


def _start() -> None:
    """Start the service and wait for its word: from then on it listens, or another one does.

    It is no child of ours, which we would have to end with us, but of a shell that ends at once.
    """
    port, file = settings.SHOP_INDEX_PORT, settings.SHOP_INDEX_FILE
    command = [sys.executable, "-m", "index_service", "--port", str(port), "--file", str(file)]
    with subprocess.Popen(  # noqa: S603 - a fixed command
        ["/bin/sh", "-c", '"$@" &', "sh", *command],
        cwd=settings.BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        assert shell.stdout is not None  # noqa: S101 - for the type checker
        shell.stdout.readline()
