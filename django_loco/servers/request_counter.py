"""Counts the requests that a server is answering, so that a shutdown can wait for them."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

Application = Callable[[Any, Any, Any], Awaitable[None]]


class RequestCounter:
    """The number of requests in flight. Threads can wait until there are none."""

    def __init__(self) -> None:
        self.count = 0
        self.closing = False
        """Whether to close connections after the response, instead of keeping them for the next request."""

        self._news = threading.Condition()

    def change(self, by: int) -> None:
        """Count the beginning (1) or the end (-1) of a request."""
        with self._news:
            self.count += by
            self._news.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds until no request is in flight. Return whether none is."""
        with self._news:
            return self._news.wait_for(lambda: self.count == 0, timeout)

    def wrapped(self, application: Application) -> Application:
        """Return ``application`` as an ASGI application whose HTTP requests are counted."""

        async def count(scope: Any, receive: Any, send: Any) -> None:
            is_request = scope["type"] == "http"
            self.change(is_request)
            try:
                await application(scope, receive, send)
            finally:
                self.change(-is_request)

        return count
