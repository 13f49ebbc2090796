"""Signals that are handed on to a server's own handlers."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from django_loco.process.signals.relay import SignalRelay
from django_loco.process.signals.wakeup_fd import forget_caught
from tests.processes import SECONDS


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
    relay = SignalRelay([signal.SIGUSR1], see)
    relay.install()
    yield relay, seen, news
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGUSR1, before)
    forget_caught(signal.SIGUSR1)


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
