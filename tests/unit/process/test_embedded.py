"""What django-loco is to servers that are not its own: hooks, signals, flags, the end."""

from __future__ import annotations

import time
from signal import SIGINT, SIGQUIT, SIGTERM

import pytest
from django.core.management.base import CommandError

from django_loco.component import Component
from django_loco.process import embedded
from django_loco.process.embedded import EmbeddedRuntime, HostServer, HostServerComponent
from django_loco.shutdown import FORCED, Shutdown


def test_a_server_is_told_to_stop_once_and_cut_off_at_the_deadline():
    told: list[str] = []
    server = HostServerComponent(lambda: told.append("stop"), lambda: told.append("cut"))
    server.stop(time.monotonic() + 60)
    server.stop(time.monotonic() + 60)
    assert (told, server.health()) == (["stop"], {"alive": True, "running": 1})
    server.stop(time.monotonic())
    assert told == ["stop", "cut"]
    server.served.set()
    server.stop(time.monotonic())
    assert told == ["stop", "cut"]
    assert (server.join(0), server.health()) == (True, {"alive": False, "running": 0})


def test_a_site_without_the_app_is_told_what_is_missing(monkeypatch):
    monkeypatch.setattr(embedded, "_runtime_factory", None)
    with pytest.raises(CommandError, match='"django_loco" is not in INSTALLED_APPS'):
        embedded.make_runtime(embedded.HostServer())


def test_a_shutdown_that_raises_ends_the_server_all_the_same(monkeypatch, caplog):
    def broken(server: Component) -> int:
        raise ValueError("a defect")

    shutdown = Shutdown(0.05)
    runtime = EmbeddedRuntime(HostServer(cut_signal=SIGQUIT), HostServerComponent(int, int), shutdown, broken)
    handed_on: list[int] = []
    monkeypatch.setattr(runtime._relay, "hand_on", handed_on.append)
    runtime._thread.start()
    runtime._on_signal("SIGTERM")
    runtime._thread.join(5)
    assert handed_on == [SIGTERM, SIGQUIT]
    runtime._on_signal("SIGINT")
    assert handed_on == [SIGTERM, SIGQUIT, SIGINT]
    assert runtime.end() == FORCED
    assert "The shutdown has failed" in caplog.text
