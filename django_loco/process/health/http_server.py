"""A small HTTP server for health checks and ``/metrics``, for processes without a web server."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from ...core.lifecycle.inherited_descriptors import closed_in_copies
from ...core.threads import DaemonThread
from ...exceptions import LocoConfigurationError
from ...log.safe import get_logger
from ...metrics.exposition import CONTENT_TYPE, text_of
from .process_metrics import process_families
from .report import ANSWERS

logger = get_logger("django_loco.servers")


METRICS = "/metrics"


class _Handler(BaseHTTPRequestHandler):
    """Answers one request, and closes the connection."""

    server_version, sys_version = "django-loco", ""
    timeout = 5  # seconds for a client to send its request

    def do_GET(self) -> None:
        """Answer with JSON, or with metrics as Prometheus reads them."""
        path = self.path.partition("?")[0]
        if path == METRICS:
            self._send(HTTPStatus.OK, CONTENT_TYPE, text_of(process_families()))
            return
        answer = ANSWERS.get(path)
        status, body = answer() if answer else (HTTPStatus.NOT_FOUND, {"paths": [*ANSWERS, METRICS]})
        self._send(status, "application/json", json.dumps(body, default=str))

    do_HEAD = do_GET  # noqa: N815 (http.server's name)

    def do_POST(self) -> None:
        """Refuse other methods, as the site's own health URLs do."""
        body = {"methods": ["GET", "HEAD"]}
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, "application/json", json.dumps(body), allow="GET, HEAD")

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815 (http.server's names)

    def _send(self, status: HTTPStatus, content_type: str, text: str, *, allow: str = "") -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        if allow:
            self.send_header("Allow", allow)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
        """Log requests at debug level only, because probes come every second."""
        logger.debug(format, *args)


class HealthServer(ThreadingHTTPServer):
    """Serves ``/_ping``, ``/_health``, ``/_readiness`` and ``/metrics`` during its ``with`` block.

    The constructor binds the port, so that it fails before anything is started if the port is in use.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        """Raises ``LocoConfigurationError`` if the port cannot be bound."""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise LocoConfigurationError(
                f"--health-port: cannot listen on {host}:{port}: {error.strerror or error}. Choose another port."
            ) from error
        closed_in_copies(self.socket)

    def __enter__(self) -> Self:
        DaemonThread(target=self.serve_forever, name="loco-health").start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (socketserver's signature)
        """Log why an answer could not be sent, for example because the client has disconnected."""
        logger.debug("A health check from %s was not answered", client_address, exc_info=True)  # noqa: LOG014
