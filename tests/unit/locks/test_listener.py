"""The thread that listens, with a listener of the test's own. Real ones are in ``tests/contract``."""

import threading

import pytest

from django_loco.locks import listener as module
from django_loco.locks.claimants import Claimants
from django_loco.locks.listener import LockListener
from django_loco.queues.listener import QueueListener

HUNG_AFTER_SECONDS = 20.0


class Listener(QueueListener):
    """Hears what the test says."""

    def __init__(self):
        self.said = threading.Semaphore(0)
        self.waits = threading.Semaphore(0)
        self.closed = threading.Event()
        self.error = None

    def wait(self, timeout):
        self.waits.release()
        if self.error is not None:
            raise self.error
        return self.said.acquire(timeout=timeout)

    def interrupt(self):
        self.said.release()

    def close(self):
        self.closed.set()


class Store:
    def __init__(self):
        self.made = []

    def listener(self):
        self.made.append(Listener())
        return self.made[-1]


@pytest.fixture
def claimants():
    return Claimants()


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def listening(store, claimants):
    one = LockListener(store, claimants)
    yield one
    one.end()


def heard(listener):
    assert listener.waits.acquire(timeout=HUNG_AFTER_SECONDS)


def test_what_it_hears_wakes_the_first_claims(store, claimants, listening):
    woken = threading.Semaphore(0)
    claimants.add("stock", "a", woken.release)
    listening.start()
    listening.start()
    [listener] = store.made
    for _ in range(2):
        heard(listener)
        listener.said.release()
        assert woken.acquire(timeout=HUNG_AFTER_SECONDS)
    heard(listener)
    assert listening.is_trusted


def test_it_ends_when_no_claim_has_waited_for_a_while(store, listening, monkeypatch):
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.001)
    listening.start()
    assert store.made[0].closed.wait(HUNG_AFTER_SECONDS)
    assert not listening.is_trusted
    listening.start()
    assert len(store.made) == 2


def test_a_listener_that_fails_is_closed_and_not_trusted(store, listening, caplog):
    listening.start()
    [listener] = store.made
    heard(listener)
    listener.error = OSError("it is away")
    listener.said.release()
    heard(listener)
    assert listener.closed.wait(HUNG_AFTER_SECONDS)
    assert not listening.is_trusted
    assert "The thread of locks cannot listen for now: it is away" in caplog.text


def test_a_store_that_cannot_wake_has_no_thread(claimants):
    class Silent(Store):
        def listener(self):
            return None

    listening = LockListener(Silent(), claimants)
    listening.start()
    listening.end()
    assert not listening.is_trusted


def test_without_a_thread_claims_look_often_until_there_is_one(listening, store, claimants, no_thread):
    claimants.add("a", "me", lambda: None)
    with no_thread("loco-locks-listener"):
        listening.start()
        listening.start()
    assert not listening.is_trusted
    listening.start()
    [listener] = store.made
    assert listener.waits.acquire(timeout=HUNG_AFTER_SECONDS)
