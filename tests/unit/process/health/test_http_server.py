"""The small HTTP server for health checks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from django_loco.process.health import report
from django_loco.process.health.http_server import HealthServer

from .support import SECONDS, Supervised


def served(path: str, port: int) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=SECONDS) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_small_server_gives_the_same_answers():
    report.report_on(Supervised(feed={"state": "failed", "alive": False}))
    with HealthServer("127.0.0.1", 0) as server:
        port = int(server.server_address[1])
        assert served("/_ping", port) == (200, {"status": "ok"})
        assert served("/_ping?x=1", port)[0] == 200
        assert served("/_health", port)[0] == 503
        assert served("/", port) == (404, {"paths": ["/_ping", "/_health", "/_readiness", "/metrics"]})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert 'loco_component_up{component="feed"} 0' in response.read().decode().splitlines()
        head = urllib.request.Request(f"http://127.0.0.1:{port}/_ping", method="HEAD")
        with urllib.request.urlopen(head, timeout=SECONDS) as response:  # noqa: S310 (the test's own URL)
            assert (response.status, response.read()) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_small_server_refuses_methods_that_change_something(method: str):
    with HealthServer("127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/_health"
        request = urllib.request.Request(url, method=method)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=SECONDS)  # noqa: S310
    with refused.value as answer:
        assert (answer.code, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert json.load(answer) == {"methods": ["GET", "HEAD"]}
