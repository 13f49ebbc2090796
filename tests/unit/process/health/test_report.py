"""What health makes of what components say of themselves."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from argparse import ArgumentTypeError
from types import SimpleNamespace
from typing import Any

import pytest

from django_loco import shutdown
from django_loco.component import Component
from django_loco.exceptions import LocoConfigurationError
from django_loco.management import health as management_health
from django_loco.management.health import address, health_served
from django_loco.management.pool_health import Several
from django_loco.process.health import report as health
from django_loco.process.health.http_server import HealthServer

SECONDS = 10.0
RUNNING = {"state": "running", "alive": True}


class Supervised(Component):
    """A supervisor of components that say what the test wants."""

    name = "supervisor"
    is_alive = True

    def __init__(self, **components: dict[str, Any]) -> None:
        self.components = components

    def start(self) -> None: ...
    def quiet(self) -> None: ...
    def stop(self, deadline: float) -> None: ...
    def join(self, timeout: float | None = None) -> bool:
        return True

    def health(self) -> dict[str, Any]:
        return {"alive": True, "components": self.components}


@pytest.fixture(autouse=True)
def nothing_watched(monkeypatch):
    monkeypatch.setattr(shutdown, "_stopping", threading.Event())
    monkeypatch.setattr(health.in_process, "loco_aliases", list)
    health.forget()
    yield
    health.forget()


def free_port() -> int:
    with HealthServer("127.0.0.1", 0) as server:
        return int(server.server_address[1])


@pytest.mark.parametrize(
    ("own", "verdict"),
    [
        (RUNNING, "ok"),
        ({"state": "starting", "alive": False}, "ok"),
        ({"state": "failed", "alive": False}, "failing"),
        ({"state": "failed", "alive": True}, "failing"),
        ({"state": "running", "alive": False}, "failing"),
        (RUNNING | {"stuck": True}, "failing"),
        (RUNNING | {"stuck": True, "trouble": "QueueUnavailable: away"}, "failing"),
        (RUNNING | {"trouble": "QueueUnavailable: away"}, "degraded"),
        (RUNNING | {"unreachable": ["default"]}, "degraded"),
        ({"state": "quiet", "alive": True, "stuck": True}, "ok"),
        ({"state": "stopping", "alive": False}, "ok"),
        ({"state": "stopped", "alive": False}, "ok"),
    ],
)
def test_how_a_component_fares(own, verdict):
    assert health.verdict(own) == verdict


def test_one_that_fails_is_the_processes_failure_and_the_others_are_shown_as_they_are():
    health.watch(Supervised(worker=RUNNING, feed={"state": "failed", "alive": False}))
    status, body = health.health()
    assert (status, body["status"]) == (503, "failing")
    assert {name: own["status"] for name, own in body["components"].items()} == {"worker": "ok", "feed": "failing"}


def test_waiting_for_a_dependency_is_no_failure_of_the_process():
    health.watch(Supervised(worker=RUNNING | {"trouble": "QueueUnavailable: refused"}))
    status, body = health.health()
    assert (status, body["status"]) == (200, "degraded")


def test_no_text_of_an_error_is_told():
    health.watch(Supervised(worker=RUNNING | {"trouble": "QueueUnavailable: redis://user:secret@host"}))
    _, body = health.health()
    assert body["components"]["worker"]["trouble"] == "QueueUnavailable"
    assert "secret" not in json.dumps(body)


def test_a_process_without_components_is_well():
    status, body = health.health()
    assert (status, body["status"], body["components"], body["draining"]) == (200, "ok", {}, False)


def test_a_process_that_drains_is_well_but_not_ready():
    shutdown.Shutdown(SECONDS).request("SIGTERM")
    assert health.health()[0] == 200
    assert health.health()[1]["draining"]
    assert health.readiness() == (503, {"status": "draining", "checks": {}})


def served(path: str, port: int) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=SECONDS) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_small_server_gives_the_same_answers():
    health.watch(Supervised(feed={"state": "failed", "alive": False}))
    with HealthServer("127.0.0.1", 0) as server:
        port = int(server.server_address[1])
        assert served("/_ping", port) == (200, {"status": "ok"})
        assert served("/_ping?x=1", port)[0] == 200
        assert served("/_health", port)[0] == 503
        assert served("/", port) == (404, {"paths": ["/_ping", "/_health", "/_readiness"]})
        head = urllib.request.Request(f"http://127.0.0.1:{port}/_ping", method="HEAD")
        with urllib.request.urlopen(head, timeout=SECONDS) as response:  # noqa: S310 (the test's own URL)
            assert (response.status, response.read()) == (200, b"")


def test_a_port_that_is_taken_is_an_error_before_anything_runs():
    with (
        HealthServer("127.0.0.1", 0) as server,
        pytest.raises(LocoConfigurationError, match=r"--health-port 127\.0\.0\.1:\d+ cannot be had: Address already"),
        health_served({"health_port": server.server_address}),
    ):
        pytest.fail("something ran")


def test_the_port_is_free_again_afterwards():
    port = free_port()
    for _ in range(2):
        with health_served({"health_port": ("127.0.0.1", port)}):
            assert served("/_ping", port)[0] == 200


def test_no_option_no_server():
    with health_served({"health_port": None}):
        assert "loco-health" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("8001", ("127.0.0.1", 8001)),
        (":8001", ("127.0.0.1", 8001)),
        ("0.0.0.0:8001", ("0.0.0.0", 8001)),  # noqa: S104 (it binds nothing)
        ("[::]:8001", ("::", 8001)),
        ("host:8001", ("host", 8001)),
    ],
)
def test_where_it_listens(text, where):
    assert address(text) == where


@pytest.mark.parametrize("text", ["", "x", "0", "65536", "-1", "host:", "::1:8001", "8001x"])
def test_what_is_no_address(text):
    with pytest.raises(ArgumentTypeError, match=r"is no PORT.* from 1 to 65535"):
        address(text)


def test_a_process_that_never_gets_as_far_as_its_components_fails(monkeypatch):
    with health_served({"health_port": ("127.0.0.1", free_port())}):
        assert health.health()[0] == 200
        assert health.health()[1]["components"]["process"]["state"] == "starting"
        monkeypatch.setattr(management_health, "STUCK_AFTER", -1.0)
        assert health.health()[0] == 503


class Child:
    """As much of a child process as matters here."""

    pid = 4712

    def __init__(self, *, is_ready: bool, began: float = 0.0, heard: float = 0.0) -> None:
        self.is_ready, self.began, self.heard = is_ready, began, heard


@pytest.mark.parametrize(
    ("child", "deaths", "state", "verdict"),
    [
        (Child(is_ready=True, heard=99.0), 0, "running", "ok"),
        (Child(is_ready=True, heard=80.0), 0, "running", "failing"),
        (Child(is_ready=False, began=90.0), 0, "starting", "ok"),
        (Child(is_ready=False, began=0.0), 0, "starting", "failing"),
        (None, 1, "starting", "ok"),
        (None, 3, "failed", "failing"),
    ],
)
def test_what_a_parent_says_of_its_processes(child, deaths, state, verdict):
    seat = SimpleNamespace(number=2, present=child, deaths=deaths)
    several = Several(SimpleNamespace(seats=[seat]), lambda: 100.0)  # type: ignore[arg-type]
    part = several.health()["components"]["process 2"]
    assert (part["state"], health.verdict(part)) == (state, verdict)
