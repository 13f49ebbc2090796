"""Binds a port."""

from __future__ import annotations

import socket

from ..core.lifecycle.inherited_descriptors import closed_in_copies
from ..process.server import PortError

#: Connections that may wait to be accepted.
BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the port. Raises ``PortError`` if the port cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return closed_in_copies(socket.create_server((host, port), family=family, backlog=BACKLOG))
    except OSError as error:
        raise PortError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error
