"""The thread that waits for jobs on behalf of the fetcher."""

from __future__ import annotations

import threading

import pytest

from django_loco.worker.fetching.job_listener import JobListener

from ..support import TroubledQueue, job, wait_until


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def listener(queue):
    listener = JobListener(queue, threading.Event(), threading.Event())
    yield listener
    listener.end()
    assert listener.join(5)


def test_jobs_ring_the_bell_of_a_hungry_fetcher(queue, listener):
    listener._wants_jobs.set()
    listener.start()
    wait_until(lambda: queue.calls["wait"])
    queue.enqueue([job("nothing")])
    assert listener._wake_fetcher.wait(5)
    assert not listener._wants_jobs.is_set()


def test_and_of_no_other(queue, listener):
    listener.start()
    queue.enqueue([job("nothing")])
    assert not listener._wake_fetcher.wait(0.05)
    assert queue.calls["wait"] == 0


def test_a_hungry_fetcher_is_not_left_waiting_between_two_waits(queue, listener, monkeypatch):
    results = iter([False, False, False, True])
    monkeypatch.setattr(queue, "wait", lambda timeout: next(results))
    listener._wants_jobs.set()
    listener.start()
    assert listener._wake_fetcher.wait(5)


def test_a_waker_ends_in_the_midst_of_waiting(queue, listener):
    listener._wants_jobs.set()
    listener.start()
    wait_until(lambda: queue.calls["wait"])
    listener.end()
    assert listener.join(0.7)


def test_a_listener_that_is_to_end_when_jobs_arrive_ends(queue, listener, monkeypatch):
    def wait(timeout: float) -> bool:
        listener.end()
        return True

    monkeypatch.setattr(queue, "wait", wait)
    listener._wants_jobs.set()
    listener.start()
    assert listener.join(5)
