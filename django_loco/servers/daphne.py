"""Support for Daphne's ``runserver``: counts its requests and shuts it down. Daphne itself is not imported here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from .request_counter import Application, RequestCounter

#: Seconds to send the last bytes of the last response.
FLUSH_SECONDS = 0.1


class GracefulDaphne:
    """A mixin for Daphne's ``Server``: counts requests, reports its port, and closes the port before it stops."""

    requests: RequestCounter
    opened: Callable[[Any], None]
    """Called with the server once its port is bound."""
    bound: Callable[[int], None]
    """Called with the port number after ``opened``."""

    def __init__(self, application: Application, **options: Any) -> None:
        # The server runs in a thread, where Python allows no signal handlers.
        options["signal_handlers"] = False
        super().__init__(self.requests.wrapped(application), **options)  # type: ignore[call-arg]
        self.ports: list[Any] = []

    def listen_success(self, port: Any) -> None:
        """Report the port."""
        super().listen_success(port)  # type: ignore[misc]
        self.ports.append(port)
        self.opened(self)
        self.bound(port.getHost().port)

    def listen_error(self, failure: Any) -> None:
        """Exit, as Django's ``runserver`` does."""
        sys.stderr.write(f"Error: {failure.getErrorMessage()}\n")
        sys.stderr.flush()
        os._exit(1)

    def shutdown(self) -> None:
        """Close the port, wait for the requests in flight, stop. Not called in the reactor's thread."""
        reactor = self.ports[0].reactor
        for port in self.ports:
            reactor.callFromThread(port.stopListening)
        self.requests.wait()
        reactor.callFromThread(reactor.callLater, FLUSH_SECONDS, reactor.stop)
