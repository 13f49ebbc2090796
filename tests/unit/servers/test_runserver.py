"""The development server, and servers of other packages that take its place."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management.base import CommandError

from django_loco.servers.runserver import CountedHandler, DevServer, url

SECONDS = 10.0


class Reactor:
    """Calls at once what is to be called in its thread, and notes it."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.calls: list[str] = []

    def callFromThread(self, function: Any, *arguments: Any) -> None:  # noqa: N802 (Twisted's name)
        self.calls.append(function.__name__)
        function(*arguments)

    def callLater(self, seconds: float, function: Any) -> None:  # noqa: N802 (Twisted's name)
        function()

    def stop(self) -> None:
        self.ended.set()


class DaphneLike:
    """As much of Daphne's server as matters here."""

    reactor: Reactor

    def __init__(self, application: Any, *, signal_handlers: bool) -> None:
        assert not signal_handlers
        self.application = application

    def run(self) -> None:
        host = SimpleNamespace(port=8001)
        self.listen_success(SimpleNamespace(getHost=lambda: host, reactor=self.reactor, stopListening=self.close_port))
        assert self.reactor.ended.wait(SECONDS)

    def listen_success(self, port: Any) -> None:
        pass

    def close_port(self) -> None:
        pass


class Runserver:
    """As much of a runserver command as matters here."""

    addr, protocol = "127.0.0.1", "http"

    def __init__(self, server_cls: type) -> None:
        self.server_cls: Any = server_cls

    def check_migrations(self) -> None:
        pass

    def inner_run(self, *args: Any, **options: Any) -> None:
        self.server_cls(None, signal_handlers=True).run()


def test_a_server_like_daphnes_closes_its_port_then_waits_for_requests_then_ends():
    reactor, ready = Reactor(), threading.Event()
    urls: list[str] = []
    server = DevServer(Runserver(type("Server", (DaphneLike,), {"reactor": reactor})), {})
    server.on_ready = lambda url: (urls.append(url), ready.set())[0]
    server.start()
    assert ready.wait(SECONDS)
    server._requests.change(1)
    server.stop(0.0)
    assert not server.join(0.05)
    assert server.health() == {"alive": True, "running": 1}
    assert reactor.calls == ["close_port"]
    server._requests.change(-1)
    assert server.join(SECONDS)
    assert reactor.calls == ["close_port", "callLater"]
    assert urls == ["http://127.0.0.1:8001/"]


def test_a_server_of_another_kind_is_refused_with_what_to_do_instead():
    with pytest.raises(CommandError, match="--no-server --worker --scheduler"):
        DevServer(Runserver(object), {})


@pytest.mark.parametrize(
    ("address", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")]
)
def test_the_url(address, shown):
    assert url(SimpleNamespace(addr=address, protocol="http"), 8000) == f"http://{shown}:8000/"


@pytest.mark.parametrize(
    ("headers", "code", "is_logged"),
    [
        ({}, "200", True),
        ({"Loco-Poll": "1"}, "200", False),
        ({"Loco-Poll": "1"}, 304, False),
        ({"Loco-Poll": "1"}, "500", True),
    ],
)
def test_requests_of_open_pages_for_news_are_not_logged(headers, code, is_logged):
    logged = []

    class Handler:
        def log_request(self, code, size):
            logged.append((code, size))

    handler: Any = type("Counted", (CountedHandler, Handler), {"headers": headers})()
    handler.log_request(code, 110)
    assert logged == [(code, 110)] * is_logged
