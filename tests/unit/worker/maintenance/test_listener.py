"""The thread that waits for jobs on behalf of the fetcher."""

from __future__ import annotations

import threading

import pytest

from django_loco.worker.maintenance.listener import QueueListener

from ..support import TroubledQueue, job, wait_until


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def waker(queue):
    waker = QueueListener(queue, threading.Event(), threading.Event())
    yield waker
    waker.end()
    assert waker.join(5)


def test_jobs_ring_the_bell_of_a_hungry_fetcher(queue, waker):
    waker._wants_jobs.set()
    waker.start()
    wait_until(lambda: queue.calls["wait"])
    queue.enqueue([job("nothing")])
    assert waker._wake_fetcher.wait(5)
    assert not waker._wants_jobs.is_set()


def test_and_of_no_other(queue, waker):
    waker.start()
    queue.enqueue([job("nothing")])
    assert not waker._wake_fetcher.wait(0.05)
    assert queue.calls["wait"] == 0


def test_a_hungry_fetcher_is_not_left_waiting_between_two_waits(queue, waker, monkeypatch):
    results = iter([False, False, False, True])
    monkeypatch.setattr(queue, "wait", lambda timeout: next(results))
    waker._wants_jobs.set()
    waker.start()
    assert waker._wake_fetcher.wait(5)


def test_a_waker_ends_in_the_midst_of_waiting(queue, waker):
    waker._wants_jobs.set()
    waker.start()
    wait_until(lambda: queue.calls["wait"])
    waker.end()
    assert waker.join(0.7)
