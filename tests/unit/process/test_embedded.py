"""What django-loco is to servers that are not its own: hooks, signals, flags, the end."""

from __future__ import annotations

import time

import pytest
from django.core.management.base import CommandError

from django_loco.process import embedded
from django_loco.process.embedded import HostServerComponent


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
