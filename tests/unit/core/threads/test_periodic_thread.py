"""A periodic thread: its turns, its failures and its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from django_loco.core.backoff import Backoff
from django_loco.core.threads.periodic_thread import PeriodicThread

SECONDS = 10.0


class Turns(PeriodicThread):
    def __init__(self, turn: Callable[[], float], backoff: Backoff | None = None) -> None:
        self.wake = threading.Event()
        super().__init__("turns", backoff or Backoff(0.0, 0.0), wake=self.wake)
        self.taken = threading.Semaphore(0)
        self.is_closed = False
        self._turn = turn

    def turn(self) -> float:
        self.taken.release()
        return self._turn()

    def close(self) -> None:
        self.is_closed = True

    def took(self, count: int = 1) -> bool:
        return all(self.taken.acquire(timeout=SECONDS) for _ in range(count))


@pytest.fixture
def run() -> Iterator[Callable[..., Turns]]:
    threads: list[Turns] = []

    def start(turn: Callable[[], float], backoff: Backoff | None = None) -> Turns:
        threads.append(Turns(turn, backoff))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.end()
        assert thread.join(SECONDS)
        assert thread.is_closed


def fail() -> float:
    raise OSError("no network")


def test_it_takes_turns_until_it_is_told_to_end(run):
    thread = run(lambda: 0.0)
    assert thread.took(3)
    assert thread.is_alive
    thread.end()
    assert thread.join(SECONDS)
    assert not thread.is_alive


def test_a_second_start_does_nothing(run):
    thread = run(lambda: 3600.0)
    thread.start()
    assert thread.took()


def test_before_the_start_there_is_nothing_to_wait_for():
    thread = Turns(lambda: 0.0)
    assert not thread.has_started
    assert thread.join()


def test_it_ends_in_the_midst_of_a_wait(run):
    thread = run(lambda: float("inf"))
    assert thread.took()
    thread.end()
    assert thread.join(SECONDS)


def test_its_event_brings_the_next_turn_on(run):
    thread = run(lambda: 3600.0)
    assert thread.took()
    thread.wake.set()
    assert thread.took()


def test_an_event_during_a_turn_is_not_lost(run):
    begun, go_on = threading.Event(), threading.Event()

    def turn() -> float:
        begun.set()
        assert go_on.wait(SECONDS)
        return 3600.0

    thread = run(turn)
    assert begun.wait(SECONDS)
    thread.wake.set()
    go_on.set()
    assert thread.took(2)


def test_turns_that_raise_are_counted_and_taken_again(run):
    thread = run(fail)
    assert thread.took(5)
    assert thread.is_alive
    assert thread.backoff.failures >= 4


def test_a_turn_that_succeeds_ends_the_row_of_failures(run):
    backoff = Backoff(0.0, 0.0)
    troubles = iter([OSError("no network"), OSError("no network")])

    def turn() -> float:
        if trouble := next(troubles, None):
            raise trouble
        return 3600.0

    thread = run(turn, backoff)
    assert thread.took(3)
    thread.end()
    assert thread.join(SECONDS)
    assert backoff.failures == 0


def test_its_event_does_not_shorten_the_wait_after_a_failure(run):
    thread = run(fail, Backoff(3600.0, 3600.0))
    assert thread.took()
    thread.wake.set()
    assert not thread.taken.acquire(timeout=0.02)


def test_it_ends_in_the_midst_of_the_wait_after_a_failure(run):
    thread = run(fail, Backoff(3600.0, 3600.0))
    assert thread.took()
    thread.end()
    assert thread.join(SECONDS)
