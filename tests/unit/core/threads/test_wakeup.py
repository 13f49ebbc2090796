"""A wakeup is readable once it was woken, whoever does that and how often."""

from __future__ import annotations

import selectors

import pytest

from django_loco.core.threads.wakeup import Wakeup


@pytest.fixture
def wakeup():
    made = Wakeup()
    yield made
    made.close()


def is_readable(wakeup: Wakeup) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(wakeup, selectors.EVENT_READ)
        return bool(selector.select(0))


def test_it_is_readable_until_it_is_drained(wakeup):
    assert not is_readable(wakeup)
    wakeup.wake(b"a")
    wakeup.wake(b"b")
    assert is_readable(wakeup)
    assert wakeup.drain() == b"ab"
    assert not is_readable(wakeup)
    assert wakeup.drain() == b""


def test_one_that_is_full_or_closed_takes_a_wake(wakeup):
    for _ in range(100_000):
        wakeup.wake(b"!" * 100)
    assert is_readable(wakeup)
    wakeup.close()
    wakeup.wake()
