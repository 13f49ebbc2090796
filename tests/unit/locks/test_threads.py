"""The threads in which coroutines claim locks and give them back."""

from __future__ import annotations

import threading

import pytest

from django_loco.core.threads import DaemonThread
from django_loco.locks import threads

SECONDS = 20


@pytest.fixture
def calls():
    return threads.CallThreads()


def test_calls_are_made_beside_each_other_in_daemon_threads(calls):
    together = threading.Barrier(threads.MOST_THREADS)

    def call():
        together.wait(SECONDS)
        return threading.current_thread()

    futures = [calls.submit(call) for _ in range(2 * threads.MOST_THREADS)]
    used = {future.result(SECONDS) for future in futures}
    assert len(used) == threads.MOST_THREADS
    assert all(thread.daemon for thread in used)


def test_a_thread_is_used_again(calls):
    assert len({calls.submit(threading.get_ident).result(SECONDS) for _ in range(10)}) == 1


def test_what_a_call_raises_is_raised_and_the_thread_goes_on(calls):
    with pytest.raises(ZeroDivisionError):
        calls.submit(lambda: 1 // 0).result(SECONDS)
    assert calls.submit(lambda: 7).result(SECONDS) == 7


def test_without_threads_the_caller_makes_the_call(calls, monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(DaemonThread, "start", start)
    assert calls.submit(threading.get_ident).result(0) == threading.get_ident()
    monkeypatch.undo()
    assert calls.submit(threading.get_ident).result(SECONDS) != threading.get_ident()


def test_a_fork_has_threads_of_its_own():
    assert threads.submit(lambda: 7).result(SECONDS) == 7
    before = threads._threads
    threads._after_fork()
    assert threads._threads is not before
    assert threads.submit(lambda: 7).result(SECONDS) == 7
