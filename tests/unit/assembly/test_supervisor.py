"""The supervisor: what it does with components that live, die, cannot start, or end as they may."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

import pytest
from django.db import connections

from django_loco.assembly import supervised_component as watch
from django_loco.assembly import supervisor as supervisor_module
from django_loco.assembly.supervised_component import FAILED_AFTER_DEATHS, ComponentSpec, State
from django_loco.assembly.supervisor import Supervisor
from django_loco.component import Component
from django_loco.exceptions import LocoConfigurationError

SECONDS = 10.0
FAST = {"first_delay": 0.0, "check_every": 0.001}


class Fake(Component):
    """Lives until it is told to stop or killed; notes what it was told."""

    name = "fake"

    def __init__(self, start: Callable[[], None] = lambda: None) -> None:
        self.told: list[str] = []
        self.started, self.ended = threading.Event(), threading.Event()
        self._start = start

    def start(self) -> None:
        self._start()
        self.started.set()

    def quiet(self) -> None:
        self.told.append("quiet")

    def stop(self, deadline: float) -> None:
        self.told.append("stop")
        self.ended.set()

    def join(self, timeout: float | None = None) -> bool:
        return self.ended.wait(timeout)

    @property
    def is_alive(self) -> bool:
        return self.started.is_set() and not self.ended.is_set()


class FakeWorker(Fake):
    """Ends when it is retired."""

    def retire(self) -> None:
        self.told.append("retire")
        self.ended.set()


class Factory:
    """Makes fakes; a test waits for the n-th one."""

    def __init__(self, *starts: Callable[[], None]) -> None:
        self.made: list[Fake] = []
        self._starts = list(starts)
        self._news = threading.Condition()

    def __call__(self) -> Fake:
        start = self._starts.pop(0) if self._starts else lambda: None
        with self._news:
            self.made.append(Fake(start))
            self._news.notify_all()
            return self.made[-1]

    def nth(self, number: int) -> Fake:
        with self._news:
            assert self._news.wait_for(lambda: len(self.made) >= number, SECONDS)
        fake = self.made[number - 1]
        assert fake.started.wait(SECONDS)
        return fake


def fail() -> None:
    raise OSError("no network")


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        threading.Event().wait(0.001)


@pytest.fixture
def supervise():
    supervisors = []

    def make(*parts: ComponentSpec, on_drained: Callable[[], None] = lambda: None, **options) -> Supervisor:
        supervisors.append(Supervisor(parts, on_drained, **{**FAST, **options}))
        supervisors[-1].start()
        return supervisors[-1]

    yield make
    for supervisor in supervisors:
        supervisor.stop(time.monotonic())
        assert supervisor.join(SECONDS)


def state(supervisor: Supervisor, number: int = 0) -> State:
    return supervisor.supervised[number].state


def test_starts_and_stops_side_by_side(supervise):
    one, two = Factory(), Factory()
    supervisor = supervise(ComponentSpec("one", one), ComponentSpec("two", two))
    assert supervisor.components == (one.nth(1), two.nth(1))
    supervisor.quiet()
    assert [state(supervisor, 0), state(supervisor, 1)] == [State.QUIET, State.QUIET]
    supervisor.stop(time.monotonic() + SECONDS)
    assert supervisor.join(SECONDS)
    assert one.made[0].told == ["quiet", "quiet", "stop"]
    assert [state(supervisor, 0), state(supervisor, 1)] == [State.STOPPED, State.STOPPED]


def test_what_died_is_buried_and_started_again(supervise, caplog):
    factory = Factory()
    supervisor = supervise(ComponentSpec("worker", factory))
    first = factory.nth(1)
    first.ended.set()
    factory.nth(2)
    assert first.told == ["stop"]
    assert "The worker has died" in caplog.text
    wait_for(lambda: state(supervisor) is State.RUNNING)
    assert supervisor.health()["components"]["worker"]["deaths"] == 1


def test_what_cannot_start_is_tried_again_and_told_in_full_once(supervise, caplog):
    factory = Factory(fail, fail)
    supervise(ComponentSpec("worker", factory))
    factory.nth(3)
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [bool(record.exc_info) for record in failures] == [True, False]
    assert "OSError('no network')" in failures[0].getMessage()


def test_no_connection_of_one_start_is_left_to_the_next_one(supervise):
    closed = threading.Event()

    def look() -> None:
        connections["default"].close = closed.set  # type: ignore[method-assign]

    supervise(ComponentSpec("worker", Factory(look)))
    assert closed.wait(SECONDS)


def test_what_is_set_wrongly_is_told_in_a_sentence(supervise, caplog):
    def refuse() -> None:
        raise LocoConfigurationError("Run manage.py migrate.")

    factory = Factory(refuse)
    supervise(ComponentSpec("worker", factory))
    factory.nth(2)
    (failure,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (failure.getMessage(), failure.exc_info) == ("The worker failed: Run manage.py migrate.", None)


def test_a_factory_that_raises_is_tried_again(supervise):
    factory, calls = Factory(), []

    def make() -> Component:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("no network")
        return factory()

    supervise(ComponentSpec("worker", make))
    factory.nth(1)
    assert len(calls) == 3


def test_one_that_fails_leaves_the_others_alone(supervise):
    good = Factory()
    supervisor = supervise(ComponentSpec("bad", Factory(*[fail] * 1000), False), ComponentSpec("good", good))
    fake = good.nth(1)
    wait_for(lambda: supervisor.supervised[0].deaths >= 3)
    assert fake.told == []
    assert state(supervisor, 1) is State.RUNNING
    assert not supervisor.is_alive


def test_stop_ends_the_pause_before_a_restart(supervise):
    supervisor = supervise(ComponentSpec("bad", Factory(fail)), first_delay=3600.0)
    wait_for(lambda: state(supervisor) is State.FAILED)
    supervisor.stop(time.monotonic())
    assert supervisor.join(SECONDS)


def test_what_dies_while_quiet_is_not_started_again(supervise):
    factory = Factory()
    supervisor = supervise(ComponentSpec("worker", factory))
    fake = factory.nth(1)
    supervisor.quiet()
    fake.ended.set()
    assert supervisor.join(SECONDS)
    assert len(factory.made) == 1


def test_stop_while_it_starts_reaches_it_once_it_has_started(supervise):
    starting, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        starting.set()
        assert go_on.wait(SECONDS)

    factory = Factory(slow)
    supervisor = supervise(ComponentSpec("worker", factory))
    assert starting.wait(SECONDS)
    supervisor.stop(time.monotonic())
    assert factory.made[0].told == []
    go_on.set()
    assert supervisor.join(SECONDS)
    assert factory.made[0].told == ["quiet", "stop"]


def test_one_that_may_end_is_not_started_again(supervise):
    factory, other, drained = Factory(), Factory(), threading.Event()
    parts = ComponentSpec("worker", factory, may_end=True), ComponentSpec("scheduler", other)
    supervisor = supervise(*parts, on_drained=drained.set)
    other.nth(1)
    assert not drained.is_set()
    factory.nth(1).ended.set()
    assert drained.wait(SECONDS)
    assert len(factory.made) == 1
    assert state(supervisor, 1) is State.RUNNING


def test_a_supervisor_whose_parts_never_end_is_never_drained(supervise):
    drained = threading.Event()
    supervisor = supervise(ComponentSpec("worker", Factory()), on_drained=drained.set)
    supervisor.stop(time.monotonic())
    assert supervisor.join(SECONDS)
    assert not drained.is_set()


def test_when_one_has_ended_the_others_that_may_end_can_be_retired(supervise):
    tried = threading.Event()

    def refuse() -> None:
        tried.set()
        raise ConnectionError("its store is away")

    may_end = [FakeWorker(), FakeWorker()]
    away, goes_on, drained = Factory(refuse), FakeWorker(), threading.Event()
    supervisor: Supervisor = supervise(
        *(
            ComponentSpec(f"worker {number}", lambda each=each: each, may_end=True)
            for number, each in enumerate(may_end)
        ),
        ComponentSpec("worker whose store is away", away, may_end=True),
        ComponentSpec("worker in memory", lambda: goes_on),
        on_one_ended=lambda: supervisor.retire(),  # noqa: PLW0108 - it is not made yet
        on_drained=drained.set,
        first_delay=SECONDS,
    )
    assert all(each.started.wait(SECONDS) for each in (*may_end, goes_on))
    assert tried.wait(SECONDS)
    may_end[0].ended.set()
    assert drained.wait(SECONDS)
    assert {*may_end[1].told} == {"retire"}, "told again when the next one has ended, if that is sooner"
    assert goes_on.told == []
    assert state(supervisor, 3) is State.RUNNING
    assert len(away.made) == 1


def test_one_that_is_retired_while_it_starts_is_told_when_it_has(supervise):
    starting, go_on, drained = threading.Event(), threading.Event(), threading.Event()
    worker = FakeWorker(lambda: (starting.set(), go_on.wait(SECONDS)))
    supervisor = supervise(ComponentSpec("worker", lambda: worker, may_end=True), on_drained=drained.set)
    assert starting.wait(SECONDS)
    supervisor.retire()
    assert worker.told == []
    go_on.set()
    assert drained.wait(SECONDS)
    assert worker.told == ["retire"]


def test_a_supervisor_that_never_started_has_ended():
    assert Supervisor([ComponentSpec("worker", Factory())]).join(SECONDS)


def test_deaths_are_forgotten_once_it_has_lived_for_a_minute(supervise):
    now = [0.0]
    factory = Factory()
    supervisor = supervise(ComponentSpec("worker", factory), clock=lambda: now[0])
    factory.nth(1).ended.set()
    fake = factory.nth(2)
    assert supervisor.supervised[0].deaths == 1
    now[0] += 3600
    fake.ended.set()
    factory.nth(3)
    assert supervisor.supervised[0].deaths == 1


def test_join_waits_no_longer_than_it_may(supervise):
    supervisor = supervise(ComponentSpec("worker", Factory()))
    began = time.monotonic()
    assert not supervisor.join(0.01)
    assert time.monotonic() - began < SECONDS


def test_a_component_that_raises_when_told_does_not_spare_the_next_one(supervise, caplog):
    class Stubborn(Fake):
        def quiet(self) -> None:
            raise ValueError("no")

    stubborn, other = Stubborn(), Factory()
    supervisor = supervise(ComponentSpec("stubborn", lambda: stubborn), ComponentSpec("other", other))
    assert stubborn.started.wait(SECONDS)
    wait_for(lambda: state(supervisor) is State.RUNNING)
    fake = other.nth(1)
    wait_for(lambda: state(supervisor, 1) is State.RUNNING)
    supervisor.quiet()
    assert "The quiet() of the stubborn failed" in caplog.text
    assert fake.told == ["quiet"]
    other.made[0].ended.set()


def test_a_component_that_calls_sys_exit_is_started_again(supervise):
    def leave() -> None:
        sys.exit(3)

    factory = Factory(leave)
    supervisor = supervise(ComponentSpec("worker", factory))
    factory.nth(2)
    wait_for(lambda: state(supervisor) is State.RUNNING)
    assert supervisor.health()["components"]["worker"]["problem"] == "SystemExit"


def test_what_started_only_in_part_is_stopped_before_the_next_start(supervise):
    factory = Factory(fail)
    supervise(ComponentSpec("worker", factory))
    factory.nth(2)
    assert factory.made[0].told == ["stop"]


def test_one_that_keeps_dying_is_shown_as_failed_until_it_has_lived_for_a_minute(supervise):
    now = [0.0]
    factory = Factory(*[fail] * FAILED_AFTER_DEATHS)
    supervisor = supervise(ComponentSpec("worker", factory), clock=lambda: now[0])
    factory.nth(FAILED_AFTER_DEATHS + 1)
    wait_for(lambda: supervisor.health()["components"]["worker"]["alive"])
    assert state(supervisor) is State.FAILED
    now[0] += 61
    assert state(supervisor) is State.RUNNING


def test_a_second_start_does_nothing(supervise):
    factory = Factory()
    supervisor = supervise(ComponentSpec("worker", factory))
    factory.nth(1)
    supervisor.start()
    wait_for(lambda: state(supervisor) is State.RUNNING)
    assert len(factory.made) == 1


class Hanging(Fake):
    """Hangs in whatever ``method`` is called, until the test lets go."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.let_go = threading.Event()
        setattr(self, method, lambda *arguments: self.let_go.wait(SECONDS))


@pytest.mark.parametrize("verb", ["quiet", "stop"])
def test_one_that_does_not_listen_does_not_keep_the_others_from_being_told(supervise, monkeypatch, caplog, verb):
    monkeypatch.setattr(supervisor_module, "CALL_SECONDS", 0.3)
    hanging, other = Hanging(verb), Factory()
    supervisor = supervise(ComponentSpec("hanging", lambda: hanging), ComponentSpec("other", other))
    assert hanging.started.wait(SECONDS)
    fake = other.nth(1)
    wait_for(lambda: state(supervisor, 0) is state(supervisor, 1) is State.RUNNING)
    supervisor.stop(time.monotonic())
    wait_for(lambda: fake.told == ["quiet", "stop"])
    assert "The stop() of the hanging took too long" in caplog.text
    assert not supervisor.join(0.01)
    hanging.ended.set()
    hanging.let_go.set()


@pytest.mark.parametrize("how", ["hangs", "raises"])
def test_one_that_does_not_say_how_it_fares_is_stuck_and_the_others_are_not(supervise, monkeypatch, how):
    monkeypatch.setattr(watch, "CALL_SECONDS", 0.3)
    hanging, other = Hanging("health"), Factory()
    if how == "raises":
        monkeypatch.setattr(hanging, "health", fail)
    supervisor = supervise(ComponentSpec("hanging", lambda: hanging), ComponentSpec("other", other))
    assert hanging.started.wait(SECONDS)
    other.nth(1)
    wait_for(lambda: state(supervisor, 0) is state(supervisor, 1) is State.RUNNING)
    parts = supervisor.health()["components"]
    assert (parts["hanging"]["stuck"], parts["hanging"]["state"]) == (True, "running")
    assert parts["other"]["alive"]
    hanging.let_go.set()


def misconfigure() -> None:
    raise LocoConfigurationError("TASKS['default'] has a secret (or two)")


@pytest.mark.parametrize(("error", "name"), [(fail, "OSError"), (misconfigure, "LocoConfigurationError")])
def test_the_text_of_an_error_is_not_part_of_health(supervise, error, name):
    supervisor = supervise(ComponentSpec("bad", Factory(*[error] * 1000)))
    wait_for(lambda: state(supervisor) is State.FAILED)
    assert supervisor.health()["components"]["bad"]["problem"] == name
