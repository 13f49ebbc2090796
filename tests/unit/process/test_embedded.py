"""What django-loco is to servers that are not its own: hooks, signals, flags, the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest
from django.core.management.base import CommandError
from gunicorn.config import Config

from django_loco.assembly.embedded import chosen
from django_loco.assembly.parts import Choice
from django_loco.management.http import address_of, flags_of, refuse_nonsense, split
from django_loco.process import embedded as hosted
from django_loco.process.embedded import HostServer
from django_loco.process.signals.escalation import Urgency
from django_loco.process.signals.listener import ONE_SIGNAL
from django_loco.process.signals.pipe import release
from django_loco.process.signals.relay import Relay
from django_loco.servers.application import application
from django_loco.servers.gunicorn import hooks as gunicorn
from tests.processes import SECONDS


def test_gunicorns_configuration_sets_the_hooks_and_nothing_else():
    """gunicorn takes every name in the module that is one of its settings."""
    assert set(vars(gunicorn)) & set(Config().settings) == set(gunicorn.__all__)


def test_gevent_is_refused_before_anything_runs():
    server = SimpleNamespace(cfg=SimpleNamespace(worker_class_str="gevent"))
    with pytest.raises(RuntimeError, match="there all threads are one"):
        gunicorn.on_starting(server)


def test_a_worker_exit_in_the_master_does_nothing():
    gunicorn.worker_exit(SimpleNamespace(), SimpleNamespace(pid=os.getpid()))


@pytest.mark.parametrize(
    ("typed", "ipv6", "address"),
    [
        (None, False, None),
        (None, True, ("::1", 8000)),
        ("9000", False, ("127.0.0.1", 9000)),
        ("9000", True, ("::1", 9000)),
        ("10.0.0.1:9000", False, ("10.0.0.1", 9000)),
        ("[::]:9000", False, ("::", 9000)),
        ("example.com:9000", False, ("example.com", 9000)),
    ],
)
def test_addresses(typed, ipv6, address):
    assert address_of({"addrport": typed, "use_ipv6": ipv6}) == address


def test_options_of_the_server_come_after_two_dashes():
    assert split(["loco_start", "--worker", "--", "-k", "asgi", "--", "x"]) == (
        ["loco_start", "--worker"],
        ["-k", "asgi", "--", "x"],
    )
    assert split(["loco_start"]) == (["loco_start"], [])


@pytest.mark.parametrize(
    ("options", "after_dashes", "said"),
    [
        ({"http": "gunicorn", "no_server": True}, (), "contradict each other"),
        ({"http": "gunicorn", "use_threading": False}, (), "--nothreading is of runserver, not of gunicorn"),
        ({"http": "runserver", "http_workers": 2}, (), "--http-workers is for --http gunicorn"),
        ({"http": "uvicorn", "http_workers": 2}, (), "--worker-class asgi"),
        ({"http": "uvicorn"}, ("--lifespan", "on"), "Options after -- are for --http gunicorn"),
    ],
)
def test_options_of_another_server_are_refused(options, after_dashes, said):
    with pytest.raises(CommandError, match=said):
        refuse_nonsense({"http_workers": None, "no_server": False} | options, after_dashes)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--no-server", "LOCO_START='--no-server': --no-server is for loco_start"),
        ("8000", "LOCO_START='8000': 8000 is for a server that loco_start starts itself"),
        ("--http gunicorn", "--http is for a server that loco_start starts itself"),
        ("--workers", "LOCO_START='--workers': Error: unrecognized arguments: --workers"),
        ("--worker '", "No closing quotation"),
    ],
)
def test_flags_in_the_environment_that_make_no_sense_are_refused(flags, said):
    with pytest.raises(CommandError, match=said):
        chosen(flags)


def test_flags_in_the_environment():
    assert chosen("--worker --scheduler") == Choice(server=True, worker=True, scheduler=True, backends=("default",))
    assert not chosen("").worker


def test_flags_choose_the_same_again():
    choice = Choice(server=True, worker=True, tags=("a", "b"), components=("feed", "price-feed"))
    assert flags_of(choice) == ["--worker=a,b", "--component=feed", "--component=price-feed"]
    assert flags_of(Choice(worker=True, scheduler=True)) == ["--worker", "--scheduler"]


def test_the_application_of_the_settings(settings):
    settings.WSGI_APPLICATION = None
    assert type(application("wsgi")).__name__ == "WSGIHandler"
    assert type(application("asgi")).__name__ == "ASGIHandler"
    settings.WSGI_APPLICATION = "nowhere.wsgi.application"
    assert type(application("asgi")).__name__ == "ASGIHandler"
    with pytest.raises(CommandError, match=r"WSGI_APPLICATION is 'nowhere\.wsgi\.application'.*No module named"):
        application("wsgi")


def test_a_server_is_told_to_stop_once_and_cut_off_at_the_deadline():
    told: list[str] = []
    server = HostServer(lambda: told.append("stop"), lambda: told.append("cut"))
    server.stop(time.monotonic() + 60)
    server.stop(time.monotonic() + 60)
    assert (told, server.health()) == (["stop"], {"alive": True, "running": 1})
    server.stop(time.monotonic())
    assert told == ["stop", "cut"]
    server.served.set()
    server.stop(time.monotonic())
    assert told == ["stop", "cut"]
    assert (server.join(0), server.health()) == (True, {"alive": False, "running": 0})


@pytest.fixture
def relay():
    """A relay in the place of a handler, and what both have seen."""
    seen: list[str] = []
    news = threading.Semaphore(0)

    def see(what: str) -> None:
        seen.append(what)
        news.release()

    before = signal.signal(signal.SIGUSR1, lambda number, frame: see("handler"))
    wakeup = signal.set_wakeup_fd(-1)
    relay = Relay([signal.SIGUSR1], see)
    relay.install()
    yield relay, seen, news
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGUSR1, before)
    release(signal.SIGUSR1)


def test_a_signal_is_held_back_until_it_is_handed_on(relay):
    relay, seen, news = relay
    os.kill(os.getpid(), signal.SIGUSR1)
    assert news.acquire(timeout=SECONDS)
    assert seen == ["SIGUSR1"]
    relay.hand_on(signal.SIGUSR1)
    assert news.acquire(timeout=SECONDS)
    assert seen == ["SIGUSR1", "handler"]


def test_a_relay_that_is_installed_again_still_knows_the_handler(relay):
    relay, seen, news = relay
    relay.install()
    relay.hand_on(signal.SIGUSR1)
    assert news.acquire(timeout=SECONDS)
    assert seen == ["handler"]


@pytest.mark.parametrize(
    ("signals", "level"),
    [
        ([("SIGTERM", 0)], 1),
        ([("SIGTERM", 0), ("SIGTERM", 9)], 1),
        ([("SIGINT", 0), ("SIGQUIT", 9)], 1),
        ([("SIGINT", 0), ("SIGTERM", 9)], 1),
        ([("SIGTERM", 0), ("SIGINT", ONE_SIGNAL / 2)], 1),
        ([("SIGTERM", 0), ("SIGINT", 9)], 2),
        ([("SIGINT", 0), ("SIGINT", 9)], 2),
        ([("SIGTERM", 0), ("SIGQUIT", 9)], 2),
        ([("SIGINT", 0), ("SIGQUIT", 1), ("SIGINT", 9), ("SIGQUIT", 10)], 2),
    ],
)
def test_what_is_one_signal(signals, level):
    now = 100.0
    urgency = Urgency(lambda: now)
    for name, moment in signals:
        now = 100.0 + moment
        urgency.hear(name)
    assert urgency.level == level


def test_a_site_without_the_app_is_told_what_is_missing(monkeypatch):
    monkeypatch.setattr(hosted, "_furnish", None)
    with pytest.raises(CommandError, match='"django_loco" is not in INSTALLED_APPS'):
        hosted.furnish(hosted.Host())
