"""The development server of Daphne, whose app brings a ``runserver`` for ASGI. Daphne itself is not imported here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from .request_counter import Application, RequestCounter

#: Seconds that the last bytes of the last answer have to get out.
FLUSH = 0.1


class GracefulDaphne:
    """Mixed into Daphne's ``Server``: counts requests, says when it has its port, and closes that before it ends."""

    requests: RequestCounter
    opened: Callable[[Any], None]
    """Called with the server once it has its port."""
    bound: Callable[[int], None]
    """Called with the port thereafter."""

    def __init__(self, application: Application, **options: Any) -> None:
        # It runs in a thread, where Python allows no handlers for signals.
        options["signal_handlers"] = False
        super().__init__(self.requests.counted(application), **options)  # type: ignore[call-arg]
        self.ports: list[Any] = []

    def listen_success(self, port: Any) -> None:
        """Take note of the port."""
        super().listen_success(port)  # type: ignore[misc]
        self.ports.append(port)
        self.opened(self)
        self.bound(port.getHost().port)

    def listen_error(self, failure: Any) -> None:
        """End the process, as Django's ``runserver`` does."""
        sys.stderr.write(f"Error: {failure.getErrorMessage()}\n")
        sys.stderr.flush()
        os._exit(1)

    def shutdown(self) -> None:
        """Close the port, wait for the requests in flight, end. Called in another thread than the reactor's."""
        reactor = self.ports[0].reactor
        for port in self.ports:
            reactor.callFromThread(port.stopListening)
        self.requests.wait()
        reactor.callFromThread(reactor.callLater, FLUSH, reactor.stop)
