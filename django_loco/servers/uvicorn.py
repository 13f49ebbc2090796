"""uvicorn, as ``loco_start --http uvicorn`` runs it: in a thread, so that this package handles signals and shutdown."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from django.core.management.base import CommandError

from ..process.server import Server
from .application import application
from .port import listen
from .request_counter import RequestCounter


class UvicornServer(Server):
    """Serves the site's ASGI application, with the lifespan protocol if the application supports it."""

    def __init__(self, host: str, port: int, check: Callable[[], None] = lambda: None) -> None:
        """``check`` runs the system checks, and raises if they fail."""
        super().__init__()
        self._host, self._port, self._check = host, port, check
        self._requests = RequestCounter()
        self._uvicorn: _Uvicorn | None = None
        self._is_stopping = False

    def serve(self) -> None:
        """Check the project, load the application, bind the port, serve. Raises ``CommandError``."""
        self._check()
        counted = self._requests.wrapped(application("asgi"))
        with listen(self._host, self._port) as listener:
            config = uvicorn.Config(counted, log_config=None)
            host, port = listener.getsockname()[:2]
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
            self._uvicorn = _Uvicorn(config, lambda: self.ready(url))
            self._uvicorn.should_exit = self._is_stopping
            self._uvicorn.run(sockets=[listener])
        if not self._uvicorn.started and not self._is_stopping:
            raise CommandError("The ASGI application could not start; uvicorn's log lines above say why.")

    def stop(self, deadline: float) -> None:
        """Close the port. Requests in flight go on; when called again at the ``deadline``, drop them."""
        again, self._is_stopping = self._is_stopping, True
        if self._uvicorn:
            self._uvicorn.should_exit = True
            self._uvicorn.force_exit = again and deadline <= time.monotonic()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds until no request is in flight. Return whether none is."""
        if self.thread.ident is not None:
            self.thread.join(timeout)
        return not self.is_alive

    def health(self) -> dict[str, Any]:
        """Return ``alive`` and the number of requests that are ``running``."""
        return {"alive": self.is_alive, "running": self._requests.count}


class _Uvicorn(uvicorn.Server):
    """Calls ``on_start`` once it serves."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept requests."""
        try:
            await super().startup(sockets)
        except SystemExit:  # how it reports that the application failed to start
            self.should_exit = True
        if self.started:
            self._on_start()
