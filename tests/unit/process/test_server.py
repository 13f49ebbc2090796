"""A process without an HTTP server."""

from __future__ import annotations

import threading

from django.core.management.base import CommandError

from django_loco.process.server import NoServer

SECONDS = 10.0


def test_no_server_is_ready_when_the_project_is_sound():
    ready, ended = threading.Event(), threading.Event()
    server = NoServer()
    server.on_ready, server.on_end = lambda url: ready.set(), lambda error: ended.set()
    server.start()
    assert ready.wait(SECONDS)
    assert server.is_alive
    server.stop(0.0)
    assert server.join(0)
    assert ended.wait(SECONDS)


def test_no_server_tells_what_is_wrong_with_the_project():
    errors: list[BaseException | None] = []
    ended = threading.Event()

    def unsound() -> None:
        raise CommandError("unsound")

    server = NoServer(unsound)
    server.on_end = lambda error: (errors.append(error), ended.set())[0]
    server.start()
    assert ended.wait(SECONDS)
    assert not server.is_ready
    assert str(errors[0]) == "unsound"
