"""The option ``--health-port``."""

from __future__ import annotations

import socket
import threading
from argparse import ArgumentTypeError

import pytest

from django_loco import shutdown
from django_loco.assembly.arguments import address
from django_loco.exceptions import LocoConfigurationError
from django_loco.management import health
from django_loco.management.health import health_served
from django_loco.process.health import report
from django_loco.process.health.http_server import HealthServer

SECONDS = 10.0


@pytest.fixture(autouse=True)
def nothing_watched(monkeypatch):
    monkeypatch.setattr(shutdown, "_stopping", threading.Event())
    monkeypatch.setattr(report, "aliases", list)
    report.forget()
    yield
    report.forget()


def free_port() -> int:
    with HealthServer("127.0.0.1", 0) as server:
        return int(server.server_address[1])


def test_a_port_that_is_taken_is_an_error_before_anything_runs():
    with (
        HealthServer("127.0.0.1", 0) as server,
        pytest.raises(
            LocoConfigurationError, match=r"--health-port: cannot listen on 127\.0\.0\.1:\d+: Address already"
        ),
        health_served({"health_port": server.server_address}),
    ):
        pytest.fail("something ran")


def test_the_port_is_free_again_afterwards():
    port = free_port()
    for _ in range(2):
        with health_served({"health_port": ("127.0.0.1", port)}):
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()


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
    with pytest.raises(ArgumentTypeError, match=r"is not PORT.* from 1 to 65535"):
        address(text)


@pytest.mark.slow
def test_a_process_that_never_gets_as_far_as_its_components_fails(monkeypatch):
    with health_served({"health_port": ("127.0.0.1", free_port())}):
        assert report.health()[0] == 200
        assert report.health()[1]["components"]["process"]["state"] == "starting"
        monkeypatch.setattr(health, "STUCK_AFTER_SECONDS", -1.0)
        assert report.health()[0] == 503
