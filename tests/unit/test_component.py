"""A component that is one loop: its turns, its end, and what health says of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from django_loco.assembly.supervised_component import ComponentSpec
from django_loco.assembly.supervisor import Supervisor
from django_loco.component import Loop

SECONDS = 10.0


class Turns(Loop):
    name = "turns"
    every = 0.001

    def __init__(self, turn: Callable[[], float | None] = lambda: None) -> None:
        super().__init__()
        self.events: list[str] = []
        self.news = threading.Condition()
        self._turn = turn

    def note(self, event: str) -> None:
        with self.news:
            self.events.append(event)
            self.news.notify_all()

    def wait_for(self, event: str, count: int = 1) -> None:
        with self.news:
            assert self.news.wait_for(lambda: self.events.count(event) >= count, SECONDS)

    def open(self) -> None:
        self.note("open")

    def turn(self) -> float | None:
        self.note("turn")
        return self._turn()

    def close(self) -> None:
        self.note("close")


@pytest.fixture
def run():
    loops = []

    def start(*arguments) -> Turns:
        loops.append(Turns(*arguments))
        loops[-1].start()
        return loops[-1]

    yield start
    for loop in loops:
        loop.stop(0.0)
        assert loop.join(SECONDS)


def test_it_takes_turns_until_it_is_stopped(run):
    loop = run()
    loop.wait_for("turn", 3)
    assert loop.is_alive
    loop.stop(0.0)
    assert loop.join(SECONDS)
    assert (loop.events[0], loop.events[-1]) == ("open", "close")


def test_a_second_start_does_nothing(run):
    loop = run()
    loop.start()
    loop.wait_for("turn", 2)
    assert loop.events.count("open") == 1


def test_quiet_means_no_more_turns_but_is_not_the_end(run):
    loop = run()
    loop.wait_for("turn")
    loop.quiet()
    assert loop.stopping
    assert not loop.join(0.01)
    count = loop.events.count("turn")
    assert not loop.join(0.02)
    assert loop.events.count("turn") <= count + 1


def test_a_turn_says_when_the_next_one_is(run):
    loop = run(lambda: 3600.0)
    loop.wait_for("turn")
    loop.stop(0.0)
    assert loop.join(SECONDS)
    assert loop.events.count("turn") == 1


def fail() -> None:
    raise OSError("no network")


def test_a_turn_that_raises_ends_it_and_closes_what_is_open(run):
    loop = run(fail)
    assert loop.join(SECONDS)
    assert not loop.is_alive
    assert loop.events == ["open", "turn", "close"]
    assert repr(loop.error) == "OSError('no network')"


def test_its_supervisor_tells_once_in_full_what_ended_it(caplog):
    supervisor = Supervisor([ComponentSpec("turns", lambda: Turns(fail))], first_delay=0.0, check_every=0.001)
    supervisor.start()
    while supervisor.supervised[0].deaths < 3:
        threading.Event().wait(0.001)
    supervisor.stop(0.0)
    assert supervisor.join(SECONDS)
    assert supervisor.health()["components"]["turns"]["problem"] == "OSError"
    told = [record for record in caplog.records if "has died: OSError('no network')" in record.getMessage()]
    assert [bool(record.exc_info) for record in told][:2] == [True, False]


def test_an_error_at_the_end_is_told_too(caplog):
    turning, go_on = threading.Event(), threading.Event()

    def fail_late() -> None:
        turning.set()
        assert go_on.wait(SECONDS)
        raise OSError("no network")

    supervisor = Supervisor([ComponentSpec("turns", lambda: Turns(fail_late))], check_every=0.001)
    supervisor.start()
    assert turning.wait(SECONDS)
    supervisor.stop(0.0)
    go_on.set()
    assert supervisor.join(SECONDS)
    assert "The turns ended with an error: OSError('no network')" in caplog.text


def test_one_that_never_started_has_ended():
    assert Turns().join(0)


def test_health_tells_of_a_turn_that_does_not_end(run, monkeypatch):
    gate = threading.Event()
    loop = run(lambda: gate.wait(SECONDS) and None)
    loop.wait_for("turn")
    assert not loop.health()["stuck"]
    monkeypatch.setattr(Turns, "stuck_after", -1.0)
    assert loop.health()["stuck"]
    gate.set()


def test_a_long_pause_between_turns_is_no_standstill(run, monkeypatch):
    loop = run(lambda: 3600.0)
    loop.wait_for("turn")
    while loop._busy_since is not None:
        threading.Event().wait(0.001)
    monkeypatch.setattr(Turns, "stuck_after", -1.0)
    assert not loop.health()["stuck"]
    assert loop.health()["last_turn_age"] >= 0
