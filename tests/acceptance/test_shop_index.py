"""The index service of the example project, from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ..processes import Process, free_port
from .shop import PROJECT

pytestmark = pytest.mark.own_database
LATENCY = 0.05


class Service:
    def __init__(self, file: Path, port: int) -> None:
        self.port = port
        arguments = ["--port", str(port), "--file", str(file), "--linger", "0.5"]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        self.process = Process([sys.executable, "-m", "index_service", *arguments], environment)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "index.json", free_port())
    service.process.wait_for("ready")
    yield service
    service.process.close()
    assert "Traceback" not in service.process.output


def call(connection: http.client.HTTPConnection, method: str, target: str, content: Any = None) -> tuple[int, Any]:
    connection.request(method, target, json.dumps(content) if content is not None else None)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def document(pk: int, text: str) -> dict[str, Any]:
    return {"id": pk, "text": text}


def test_finds_what_was_put_one_by_one_and_at_once(service: Service) -> None:
    connection = service.connect()
    assert call(connection, "PUT", "/documents/1", document(1, "Oak lamp")) == (200, {"stored": 1})
    many = [document(2, "Oak clock"), document(3, "Brass lamp")]
    assert call(connection, "POST", "/documents", many) == (200, {"stored": 2})
    assert call(connection, "GET", "/search?q=oa+lamp")[1] == {"total": 1, "documents": [document(1, "Oak lamp")]}
    assert call(connection, "GET", "/search?q=lamp&offset=1&limit=1")[1]["documents"] == [document(3, "Brass lamp")]
    connection.close()


def test_a_document_that_comes_again_replaces_the_old_one(service: Service) -> None:
    connection = service.connect()
    for text in ("Oak lamp", "Oak clock"):
        call(connection, "PUT", "/documents/1?run=a", document(1, text))
    assert call(connection, "GET", "/search?q=lamp")[1]["total"] == 0
    run = call(connection, "GET", "/status?run=a")[1]["run"]
    assert (run["documents"], run["calls"]) == (1, 2)
    connection.close()


def test_calls_wait_side_by_side(service: Service) -> None:
    def put(pk: int) -> None:
        connection = service.connect()
        for _ in range(4):
            call(connection, "PUT", f"/documents/{pk}?run=a", document(pk, "x"))
        connection.close()

    began = time.monotonic()
    with ThreadPoolExecutor(40) as threads:
        list(threads.map(put, range(1, 41)))
    seconds = time.monotonic() - began
    assert 4 * LATENCY <= seconds < 160 * LATENCY
    connection = service.connect()
    assert 4 * LATENCY <= call(connection, "GET", "/status?run=a")[1]["run"]["seconds"] <= seconds
    connection.close()


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /nowhere HTTP/1.1\r\n\r\n", 404),
        (b"GET /search?limit=many HTTP/1.1\r\n\r\n", 400),
        (b"PUT /documents/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n{", 400),
        (b"PUT /documents/1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 422),
        (b"POST /documents HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 422),
        (b"POST /documents HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
    ],
)
def test_nonsense_is_refused_and_the_next_one_served(service: Service, request_text: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(request_text)
        assert connection.recv(100).split()[1] == str(status).encode()
    other = service.connect()
    assert call(other, "GET", "/status")[0] == 200
    other.close()


def test_it_ends_when_the_last_user_is_gone_and_keeps_what_it_holds(service: Service, tmp_path: Path) -> None:
    first, second = service.connect(), service.connect()
    call(first, "PUT", "/documents/1?run=a", document(1, "Oak lamp"))
    call(second, "GET", "/status")
    first.close()
    assert call(second, "GET", "/status")[0] == 200
    second.close()
    assert service.process.wait() == 0
    again = Service(tmp_path / "index.json", service.port)
    again.process.wait_for("ready")
    third = again.connect()
    status = call(third, "GET", "/status?run=a")[1]
    assert (status["documents"], status["calls"], status["run"]["documents"]) == (1, 1, 1)
    third.close()
    assert again.process.wait() == 0
    again.process.close()


def test_it_keeps_what_it_holds_on_sigterm(service: Service, tmp_path: Path) -> None:
    connection = service.connect()
    call(connection, "PUT", "/documents/1", document(1, "Oak lamp"))
    service.process.signal(signal.SIGTERM)
    assert service.process.wait() == 0
    connection.close()
    assert [kept["id"] for kept in json.loads((tmp_path / "index.json").read_text())["documents"]] == [1]


def test_of_two_on_one_port_the_second_gives_way(service: Service, tmp_path: Path) -> None:
    lifeline = service.connect()
    lifeline.connect()  # or the first one might have gone when the second one comes
    second = Service(tmp_path / "other.json", service.port)
    second.process.wait_for("taken")
    assert second.process.wait() == 0
    assert service.process.is_running
    second.process.close()
    lifeline.close()
