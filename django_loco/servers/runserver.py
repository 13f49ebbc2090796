"""Runs the project's ``runserver`` (Django's, ``staticfiles``', Daphne's) and waits for its requests at the end."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from socket import socket
from socketserver import BaseServer
from typing import Any

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.core.management.commands.runserver import Command as DjangoRunserver
from django.db import DEFAULT_DB_ALIAS, Error, connections

from ..core.lifecycle.inherited_descriptors import closed_in_copies
from ..core.threads import DaemonThread
from ..log.output.bounded import get_bounded_logger
from ..process.server import Server
from ..queues.database.availability import unusable
from ..queues.timeouts import apply_store_timeout, store_timeout
from .daphne import GracefulDaphne
from .request_counter import RequestCounter

#: Output of ``runserver`` that the start banner replaces.
_NOISE = re.compile(
    r"Performing system checks|System check identified no issues|Django version |\w+ \d\d, \d{4} - [\d:]+( [AP]M)?\s*$"
)
#: Seconds between two checks of the server's loop whether it should stop.
POLL_SECONDS = 0.1

logger = get_bounded_logger("django_loco.servers")


def project_runserver() -> BaseCommand:
    """Return the project's ``runserver``: Django's own, or that of ``staticfiles`` or another app."""
    app = get_commands()["runserver"]
    return app if isinstance(app, BaseCommand) else load_command_class(app, "runserver")


class CountedHandler:
    """A mixin for the request handler: counts a request from its first line to the last byte of the response.

    Pages of django-loco ask for news every second or two, with the header ``Loco-Poll``. These requests have no log
    line unless they fail.
    """

    server: Any
    headers: Mapping[str, str]
    close_connection: bool
    _counted = False

    def parse_request(self) -> bool:
        """Read the headers; the first line has just been read."""
        self._counted = True
        self.server.requests.change(1)
        return super().parse_request()  # type: ignore[misc,no-any-return]

    def handle_one_request(self) -> None:
        """Answer one request of a connection."""
        try:
            super().handle_one_request()  # type: ignore[misc]
        finally:
            if self._counted:
                self._counted = False
                self.close_connection = self.close_connection or self.server.requests.closing
                self.server.requests.change(-1)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Log a request that has been answered."""
        if not self.headers.get("Loco-Poll") or str(code) not in ("200", "304"):
            super().log_request(code, size)  # type: ignore[misc]


class GracefulServer:
    """A mixin for the server: counts requests, and closes the port as soon as it is told to stop."""

    requests: RequestCounter
    socket: socket
    opened: Callable[[Any], None]
    """Called with the server once its port is bound."""

    def __init__(self, address: Any, handler: type, **options: Any) -> None:
        counted = type("Handler", (CountedHandler, handler), {})
        super().__init__(address, counted, **options)  # type: ignore[call-arg]
        closed_in_copies(self.socket)
        self.opened(self)

    def serve_forever(self, poll_interval: float = POLL_SECONDS) -> None:
        """Accept requests until ``shutdown``. After that refuse new requests instead of letting them wait."""
        try:
            super().serve_forever(poll_interval)  # type: ignore[misc]
        finally:
            self.server_close()  # type: ignore[attr-defined]


class DevServer(Server):
    """Runs the server of a ``runserver`` command.

    The command keeps its flags, checks and handler. Three things are changed. ``server_cls`` waits for requests in
    flight, since Django's request threads die with the process. ``on_bind`` calls ``on_ready`` instead of printing a
    greeting. ``check_migrations`` lets the server start while the database cannot be reached.
    """

    def __init__(self, runserver: Any, options: dict[str, Any]) -> None:
        """``runserver`` has run its ``handle``, so it knows its address; ``options`` are its options."""
        super().__init__()
        self._runserver, self._options = runserver, options
        self._requests = RequestCounter()
        self._socket_server: Any = None
        self._stopping = threading.Event()
        own = {
            "requests": self._requests,
            "opened": staticmethod(self._on_open),
            "bound": staticmethod(self._on_bind),
        }
        if options.get("use_asgi") is False:  # Daphne's --noasgi; its command would restore the class
            runserver.server_cls = DjangoRunserver.server_cls
            runserver.inner_run = partial(DjangoRunserver.inner_run, runserver)
        runserver.on_bind = self._on_bind
        runserver.check_migrations = partial(_check_migrations, runserver.check_migrations)
        runserver.server_cls = type("DevelopmentServer", (_mixin(runserver.server_cls), runserver.server_cls), own)

    def serve(self) -> None:
        """Check the project, bind the port, serve. Exits with code 1 if the port cannot be bound."""
        self._runserver.inner_run(None, **self._options)

    def stop(self, deadline: float) -> None:  # noqa: ARG002 (requests end without a deadline)
        """Close the port. Requests in flight go on; each connection is closed after its response."""
        self._requests.closing = True
        self._stopping.set()
        if self._socket_server:
            # In a thread, because it blocks until the loop has ended: with --nothreading, until the current request is
            # answered.
            DaemonThread(target=self._socket_server.shutdown, name="loco-close-port").start()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds until no request is in flight. Return whether none is."""
        if not self.is_ready:
            return True
        until = None if timeout is None else time.monotonic() + timeout
        self.thread.join(timeout)
        return not self.is_alive and self._requests.wait(None if until is None else max(0.0, until - time.monotonic()))

    def health(self) -> dict[str, Any]:
        """Return ``alive`` and the number of requests that are ``running``."""
        return {"alive": self.is_alive, "running": self._requests.count}

    def _on_open(self, socket_server: Any) -> None:
        self._socket_server = socket_server

    def _on_bind(self, port: int) -> None:
        if not self._stopping.is_set():
            self.ready(url(self._runserver, port))


def _check_migrations(check: Callable[[], None]) -> None:
    """Call Django's check. The site starts even if the database cannot be reached."""
    try:
        with store_timeout():
            apply_store_timeout(connections[DEFAULT_DB_ALIAS])
            check()
    except Error as error:
        where = f"Migrations are not checked: they are in DATABASES[{DEFAULT_DB_ALIAS!r}]"
        logger.warning("%s", unusable(where, DEFAULT_DB_ALIAS, error))


def _mixin(server_class: type) -> type:
    """Return the mixin for a server of this class. Raises ``CommandError`` for an unknown kind of server."""
    if issubclass(server_class, BaseServer):
        return GracefulServer
    if hasattr(server_class, "listen_success"):
        return GracefulDaphne
    raise CommandError(
        f"loco_start cannot shut down the server of this project's runserver, "
        f"{server_class.__module__}.{server_class.__qualname__}. Run it as usual, and beside it: "
        "manage.py loco_start --no-server --worker --scheduler."
    )


def url(runserver: Any, port: int) -> str:
    """Return the URL of a ``runserver`` command that has bound ``port``."""
    address = "0.0.0.0" if runserver.addr == "0" else runserver.addr  # noqa: S104 (as Django's command has it)
    host = f"[{address}]" if ":" in address else address
    return f"{runserver.protocol}://{host}:{port}/"


class _Filter:
    """A stream that drops the output that the start banner replaces."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if not _NOISE.match(text):
            self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def without_noise(output: OutputWrapper) -> OutputWrapper:
    """Return ``output`` without the lines that the start banner replaces."""
    stream: Any = _Filter(output)
    return OutputWrapper(stream)
