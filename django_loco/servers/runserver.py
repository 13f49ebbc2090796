"""The development server: whichever ``runserver`` the project has, with an end that waits for its requests."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from functools import partial
from socket import socket
from socketserver import BaseServer
from typing import Any

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.core.management.commands.runserver import Command as DjangoRunserver
from django.utils import autoreload

from ..core.lifecycle.fork import closed_in_copies
from ..core.threads import DaemonThread
from ..process.server import Server
from .daphne import GracefulDaphne
from .request_counter import RequestCounter

#: What a ``runserver`` says that the banner says better.
_NOISE = re.compile(
    r"Performing system checks|System check identified no issues|Django version |\w+ \d\d, \d{4} - [\d:]+( [AP]M)?\s*$"
)
#: Seconds between two looks of the server's loop at whether it should end.
POLL = 0.1


def project_runserver() -> BaseCommand:
    """Return the project's ``runserver``: Django's own, that of ``staticfiles``, or another app's."""
    app = get_commands()["runserver"]
    return app if isinstance(app, BaseCommand) else load_command_class(app, "runserver")


class CountedHandler:
    """Mixed into the request handler: a request is in flight from its first line to the last byte of its answer."""

    server: Any
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


class GracefulServer:
    """Mixed into the server's class: counts requests, and closes the port as soon as it is told to stop."""

    requests: RequestCounter
    socket: socket
    opened: Callable[[Any], None]
    """Called with the server once it has its port."""

    def __init__(self, address: Any, handler: type, **options: Any) -> None:
        counted = type("Handler", (CountedHandler, handler), {})
        super().__init__(address, counted, **options)  # type: ignore[call-arg]
        closed_in_copies(self.socket)
        self.opened(self)

    def serve_forever(self, poll_interval: float = POLL) -> None:
        """Accept requests until ``shutdown``; then refuse further ones, rather than let them wait for nothing."""
        try:
            super().serve_forever(poll_interval)  # type: ignore[misc]
        finally:
            self.server_close()  # type: ignore[attr-defined]


class DevServer(Server):
    """Runs a ``runserver`` command's server.

    The command keeps its flags, checks and handler. What is changed on it: ``server_cls``, to wait for requests in
    flight, as Django's threads for requests die with the process; and ``on_bind``, to call ``on_ready`` rather than
    greet.
    """

    def __init__(self, runserver: Any, options: dict[str, Any]) -> None:
        """``runserver`` has been through its ``handle``, so that it knows its address; ``options`` are its own."""
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
        if options.get("use_asgi") is False:  # Daphne's --noasgi; its command would put back the class it knows
            runserver.server_cls = DjangoRunserver.server_cls
            runserver.inner_run = partial(DjangoRunserver.inner_run, runserver)
        runserver.on_bind = self._on_bind
        runserver.server_cls = type("DevelopmentServer", (_mixin(runserver.server_cls), runserver.server_cls), own)

    def serve(self) -> None:
        """Check the project, open the port, serve. Ends the process with code 1 if the port cannot be had."""
        # The reloader watches files that could not be imported if the error passes through here.
        autoreload.check_errors(self._runserver.inner_run)(None, **self._options)

    def stop(self, deadline: float) -> None:  # noqa: ARG002 (requests end by themselves)
        """Close the port. Requests in flight go on; each connection is closed after its answer."""
        self._requests.closing = True
        self._stopping.set()
        if self._socket_server:
            # It waits until the loop has ended, which without threads is when the present request is answered.
            DaemonThread(target=self._socket_server.shutdown, name="loco-close-port").start()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds until no request is in flight; return whether none is."""
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


def _mixin(server_class: type) -> type:
    """Return what makes a server of this class wait for its requests. Raises ``CommandError`` if it is not known."""
    if issubclass(server_class, BaseServer):
        return GracefulServer
    if hasattr(server_class, "listen_success"):
        return GracefulDaphne
    raise CommandError(
        f"loco_start does not know how to end the server of this project's runserver, "
        f"{server_class.__module__}.{server_class.__qualname__}. Run it as ever, and beside it: "
        "manage.py loco_start --no-server --worker --scheduler."
    )


def url(runserver: Any, port: int) -> str:
    """Return where a ``runserver`` command that has the ``port`` can be reached."""
    address = "0.0.0.0" if runserver.addr == "0" else runserver.addr  # noqa: S104 (as Django's command has it)
    host = f"[{address}]" if ":" in address else address
    return f"{runserver.protocol}://{host}:{port}/"


class _Filter:
    """A stream that leaves out what the banner says better."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if not _NOISE.match(text):
            self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def without_noise(output: OutputWrapper) -> OutputWrapper:
    """Return ``output`` without what the banner says better."""
    stream: Any = _Filter(output)
    return OutputWrapper(stream)
