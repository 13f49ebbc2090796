"""Interrupting sync jobs: when it strikes, and that it strikes nothing else."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_loco.core.job.retry import Policy
from django_loco.exceptions import Discard, Interrupted, JobCancelled, JobTimeout, Snooze, Throttled
from django_loco.worker.execution import interrupter
from django_loco.worker.execution.interrupter import InterruptibleCall, ThreadInterrupter

from ..support import wait_until

pytestmark = pytest.mark.interrupts


class Call:
    """What the watch needs of an attempt."""

    def __init__(self, timeout: float | None, call: Callable[[], Any]) -> None:
        self.policy = Policy(timeout=timeout)
        self.call = call


def call_of(timeout: float | None, call: Callable[[], Any]) -> Any:
    return Call(timeout, call)


def spin(seconds: float = 20) -> str:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
    return "done"


@pytest.fixture
def stuck() -> list[InterruptibleCall]:
    return []


@pytest.fixture
def watch(stuck: list[InterruptibleCall]) -> Iterator[ThreadInterrupter]:
    watch = ThreadInterrupter(stuck.append, grace=0.1)
    yield watch
    watch.end()
    assert watch.join(5)


def test_no_limit_no_thread(watch):
    assert watch.call(call_of(None, lambda: 17)) == 17
    assert not watch.has_started


def test_in_time(watch):
    assert watch.call(call_of(20, lambda: 17)) == 17
    assert watch._calls == set()


def test_too_long(watch):
    before = time.monotonic()
    with pytest.raises(JobTimeout, match=r"longer than its timeout of 0\.05 s") as caught:
        watch.call(call_of(0.05, spin))
    assert 0.04 < time.monotonic() - before < 5
    assert any(entry.name == "spin" for entry in caught.traceback)
    assert watch._calls == set()


def test_a_later_alarm_does_not_delay_an_earlier_one(watch):
    long_one = threading.Thread(target=lambda: watch.call(call_of(60, release.wait)))
    release = threading.Event()
    long_one.start()
    wait_until(lambda: watch._calls)
    with pytest.raises(JobTimeout):
        watch.call(call_of(0.05, spin))
    release.set()
    long_one.join()


def test_a_very_long_limit(watch):
    assert watch.call(call_of(1e12, lambda: 17)) == 17


def test_a_job_may_catch_it_and_clean_up(watch, stuck):
    def job() -> str:
        try:
            spin()
        except JobTimeout:
            return "cleaned up"
        return "?"

    assert watch.call(call_of(0.05, job)) == "cleaned up"
    assert stuck == []


def test_an_error_that_the_interruption_causes_is_the_interruption(watch):
    """As when Django rolls back a transaction in whose midst it was interrupted."""

    def roll_back() -> None:
        try:
            raise OSError("a command is in progress")
        except OSError as error:
            raise ValueError("cannot roll back") from error

    def job() -> None:
        try:
            spin()
        finally:
            roll_back()

    with pytest.raises(JobTimeout, match="longer than its timeout") as caught:
        watch.call(call_of(0.05, job))
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_error_of_its_own_that_it_chooses_at_the_limit(watch):
    def job() -> None:
        try:
            spin()
        except JobTimeout as error:
            raise KeyError("lock") from error

    with pytest.raises(KeyError):
        watch.call(call_of(0.05, job))


@pytest.mark.parametrize("chosen", [Snooze(60), Discard("too slow"), Interrupted(), Throttled(60)], ids=repr)
def test_how_a_job_says_at_the_limit_that_it_is_to_end(watch, chosen):
    def job() -> None:
        try:
            spin()
        except JobTimeout:
            raise chosen  # noqa: B904 - as jobs do

    with pytest.raises(type(chosen)):
        watch.call(call_of(0.05, job))


def test_an_error_whose_causes_are_a_ring(watch):
    """A job that goes on after the interruption may end with one."""

    def job() -> None:
        with contextlib.suppress(JobTimeout):
            spin()
        try:
            raise ValueError("it cannot clean up")
        except ValueError as error:
            raise error from error

    with pytest.raises(ValueError, match="cannot clean up"):
        watch.call(call_of(0.05, job))


def test_a_job_may_raise_the_same_itself(watch):
    def job() -> None:
        raise JobTimeout

    with pytest.raises(JobTimeout) as caught:
        watch.call(call_of(20, job))
    assert caught.value.args == ()
    assert watch._calls == set()


class Slow(logging.Handler):
    """A handler that takes a while, and passes no error on, like those of Python."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.ends: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.ends.append(spin(self.seconds))
        except JobTimeout:
            self.ends.append("interrupted")


@pytest.fixture
def slow() -> Iterator[Slow]:
    handler = Slow(0.3)
    logging.getLogger("shop").addHandler(handler)
    yield handler
    logging.getLogger("shop").removeHandler(handler)


def test_a_job_that_is_logging_is_interrupted_when_the_line_is_done(watch, slow, stuck):
    def job() -> None:
        logging.getLogger("shop").warning("row 1")
        spin()

    with pytest.raises(JobTimeout):
        watch.call(call_of(0.02, job))
    assert (slow.ends, stuck) == (["done"], [])


def test_a_handler_that_blocks_does_not_put_the_interruption_off_for_long(watch, slow, monkeypatch):
    monkeypatch.setattr(interrupter, "SPARED_SECONDS", 0.05)
    slow.seconds = 20
    watch.call(call_of(0.02, lambda: logging.getLogger("shop").warning("row 1")))
    assert slow.ends == ["interrupted"]


def test_code_that_tries_again_after_faults_of_the_network_is_interrupted(watch, stuck):
    """As clients of HTTP and Redis do: a ``TimeoutError`` is an ``OSError``."""

    def job() -> None:
        for _ in range(3):
            with contextlib.suppress(OSError):
                spin(2)

    with pytest.raises(JobTimeout):
        watch.call(call_of(0.02, job))
    assert stuck == []


class Door:
    """A context manager that takes its time where a lock would be taken, or given back."""

    def __init__(self, enter: float = 0, leave: float = 0) -> None:
        self.enter, self.leave = enter, leave
        self.done: list[str] = []

    def __enter__(self) -> None:
        spin(self.enter)
        self.done.append("entered")

    def __exit__(self, *_error: object) -> None:
        spin(self.leave)
        self.done.append("left")


@pytest.mark.parametrize("seconds", [{"enter": 0.3}, {"leave": 0.3}], ids=str)
def test_a_context_manager_is_entered_and_left_before_a_job_is_interrupted(watch, stuck, seconds):
    door = Door(**seconds)

    def job() -> None:
        with door:
            pass
        spin()

    with pytest.raises(JobTimeout):
        watch.call(call_of(0.02, job))
    assert (door.done, stuck) == (["entered", "left"], [])


@pytest.mark.parametrize(
    "module",
    [
        "asgiref.local",
        "importlib._bootstrap",
        "django_loco.queues.redis.connections.server",
        "django_loco.locks.stores.redis",
    ],
)
def test_code_that_must_not_break_is_left_before_a_job_is_interrupted(watch, stuck, module):
    done: list[str] = []
    code: dict[str, Any] = {"__name__": module, "spin": spin, "done": done}
    exec("def ask(): spin(0.3); done.append('answered')", code)  # noqa: S102 - a function of another module

    def job() -> None:
        code["ask"]()
        spin()

    with pytest.raises(JobTimeout):
        watch.call(call_of(0.02, job))
    assert (done, stuck) == (["answered"], [])


def test_one_that_swallows_it_is_reported_as_stuck_once(watch, stuck):
    def job() -> str:
        for _ in range(2):
            with contextlib.suppress(JobTimeout):
                spin()
        until = time.monotonic() + 20
        while time.monotonic() < until and not stuck:
            spin(0.01)
        spin(0.3)
        return "too late"

    call = call_of(0.05, job)
    assert watch.call(call) == "too late"
    assert [call.attempt for call in stuck] == [call]
    assert stuck[0].thread is threading.current_thread()


def test_one_that_a_library_swallows_comes_again(stuck, monkeypatch):
    monkeypatch.setattr(interrupter, "_AGAIN_AFTER", 0.01)
    watch = ThreadInterrupter(stuck.append, grace=5)

    def job() -> None:
        with contextlib.suppress(Exception):
            spin()
        spin()

    with pytest.raises(JobTimeout, match="longer than its timeout"):
        watch.call(call_of(0.05, job))
    watch.end()
    assert stuck == []


def clean_up_in_except(go_on: Callable[[], None]) -> None:
    try:
        spin()
    except JobTimeout:
        go_on()


def clean_up_in_finally(go_on: Callable[[], None]) -> None:
    with contextlib.suppress(JobTimeout):
        try:
            spin()
        finally:
            go_on()


def clean_up_while_another_error_is_handled(go_on: Callable[[], None]) -> None:
    try:
        spin()
    except JobTimeout:
        try:
            raise KeyError from None
        except KeyError:
            go_on()


@pytest.mark.parametrize(
    "job",
    [clean_up_in_except, clean_up_in_finally, clean_up_while_another_error_is_handled],
    ids=lambda job: job.__name__,
)
def test_a_long_clean_up_is_not_interrupted(watch, stuck, job):
    def go_on() -> None:
        wait_until(lambda: stuck)
        done.append("cleaned up")

    done: list[str] = []
    watch.call(call_of(0.05, lambda: job(go_on)))
    assert done == ["cleaned up"]


def test_one_in_c_code_is_reported_as_stuck_and_interrupted_when_it_returns(watch, stuck):
    release = threading.Event()
    ended: list[Any] = []

    def job() -> None:
        release.wait(20)
        ended.append("went on")

    def thread() -> None:
        try:
            watch.call(call_of(0.05, job))
        except JobTimeout as error:
            ended.append(error)

    running = threading.Thread(target=thread)
    running.start()
    wait_until(lambda: stuck)
    release.set()
    running.join(5)
    assert [type(item) for item in ended] == [JobTimeout]


def test_an_error_in_the_report_does_not_end_the_watch(caplog):
    def broken(call: InterruptibleCall) -> None:
        raise RuntimeError("no thread to be had")

    watch = ThreadInterrupter(broken, grace=0.01)
    release = threading.Event()

    def job() -> None:
        with contextlib.suppress(JobTimeout):
            watch.call(call_of(0.01, lambda: release.wait(20)))

    thread = threading.Thread(target=job)
    thread.start()
    wait_until(lambda: "could not be given up" in caplog.text)
    release.set()
    thread.join()
    with pytest.raises(JobTimeout):
        watch.call(call_of(0.01, spin))
    watch.end()
    assert watch.join(5)


def test_after_an_interruption_and_only_then_connections_are_dropped(stuck):
    interrupted: list[int] = []
    watch = ThreadInterrupter(stuck.append, lambda: interrupted.append(threading.get_ident()))
    watch.call(call_of(20, lambda: 17))
    assert interrupted == []
    with pytest.raises(JobTimeout):
        watch.call(call_of(0.02, spin))
    assert interrupted == [threading.get_ident()]
    watch.end()


def test_an_exception_that_strikes_the_disarming_itself(watch, monkeypatch):
    disarm = InterruptibleCall.disarm
    calls: list[Any] = []

    def struck(call: InterruptibleCall) -> None:
        calls.append(call)
        if len(calls) == 1:
            raise JobTimeout
        disarm(call)

    monkeypatch.setattr(InterruptibleCall, "disarm", struck)
    with pytest.raises(JobTimeout):
        watch.call(call_of(20, lambda: 17))
    assert len(calls) == 2
    another = threading.Thread(target=lambda: calls.append(calls[0].gate.acquire(blocking=False)))
    another.start()
    another.join()
    assert calls[-1] is False  # nobody can fire any more


def test_a_job_that_is_cancelled_at_its_timeout_may_clean_up(stuck, monkeypatch):
    """The interrupter is just about to enforce the timeout when the job is cancelled."""
    watch = ThreadInterrupter(stuck.append, grace=20)
    interrupt, turn, turns = InterruptibleCall.interrupt, watch.turn, Counter[str]()

    def interrupted(call: InterruptibleCall) -> None:
        watch.cancel(call.attempt.claimed)
        interrupt(call)

    def turned() -> float:
        turns["taken"] += 1
        return turn()

    def next_turn() -> None:
        taken = turns["taken"]
        watch._changed.set()
        wait_until(lambda: turns["taken"] > taken)

    def job() -> str:
        try:
            spin()
        except JobCancelled:
            next_turn()
            next_turn()
            return "cleaned up"
        return "?"

    monkeypatch.setattr(InterruptibleCall, "interrupt", interrupted)
    monkeypatch.setattr(watch, "turn", turned)
    call = call_of(0.02, job)
    call.claimed = object()
    assert watch.call(call) == "cleaned up"
    watch.end()
    assert watch.join(5)
    assert stuck == []


def race(watch: ThreadInterrupter, rounds: int, results: Counter[str]) -> None:
    """Run jobs that end about when their time is up; note where the interruption struck.

    Each thread has ``results`` of its own: two that count their first job at the same time would count one.
    """
    dice = random.Random(threading.get_ident())
    for _ in range(rounds):
        try:
            try:
                results[watch.call(call_of(0.001, lambda: spin(dice.uniform(0.0009, 0.0012))))] += 1
            except JobTimeout as error:
                results["interrupted" if error.args else "without its message"] += 1
            for _ in range(200):  # the pool's own code
                pass
        except JobTimeout:
            results["leaked"] += 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_thousands_of_jobs_that_end_just_then(stuck, nimble, count):
    watch = ThreadInterrupter(stuck.append, grace=5)
    counts = [Counter[str]() for _ in range(count)]
    threads = [threading.Thread(target=race, args=(watch, 2100 // count, own)) for own in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
        assert not thread.is_alive()
    watch.end()
    results = sum(counts, Counter[str]())
    assert set(results) == {"done", "interrupted"}
    assert results.total() == 2100 // count * count
    assert stuck == []
    assert watch._calls == set()


def test_the_limit_may_be_up_before_the_job_begins(watch, nimble):
    results: Counter[str] = Counter()
    for _ in range(1500):
        try:
            results[watch.call(call_of(1e-9, lambda: spin(0.0001)))] += 1
        except JobTimeout:
            results["interrupted"] += 1
    assert results.total() == 1500


@pytest.mark.slow
def test_being_given_up_races_with_the_return(nimble):
    """Either the job returns or it is stuck; a thread is never left with its gate closed."""
    settled: Counter[bool] = Counter()
    watch = ThreadInterrupter(lambda call: settled.update([True]), grace=0.001)

    def job() -> None:
        for _ in range(3):
            try:
                spin(0.0012)
            except JobTimeout:
                continue

    for _ in range(400):
        with contextlib.suppress(JobTimeout):
            watch.call(call_of(0.001, job))
        settled.update([False])
    watch.end()
    assert settled[False] == 400
    assert 0 < settled[True] <= 400
