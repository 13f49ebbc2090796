"""Requests in flight, and servers of other kinds than Django's own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from django_loco.servers.request_counter import RequestCounter

SECONDS = 10.0


def test_waiting_for_requests():
    requests = RequestCounter()
    assert requests.wait(0)
    requests.change(1)
    assert not requests.wait(0.01)
    timer = threading.Timer(0.01, requests.change, [-1])
    timer.start()
    assert requests.wait(SECONDS)
    timer.join()


@pytest.mark.parametrize(("kind", "counted"), [("http", 1), ("websocket", 0)])
def test_an_asgi_application_is_counted_by_its_requests(kind, counted):
    requests, seen = RequestCounter(), []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(requests.count)
        raise ValueError("a view that fails")

    with pytest.raises(ValueError, match="a view"):
        asyncio.run(requests.wrapped(application)({"type": kind}, None, None))
    assert seen == [counted]
    assert requests.count == 0
