"""How the pool follows the work, on a simulated interpreter: no real threads, no real time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from django_loco.core.threads import NoThread
from django_loco.worker.pools.thread_limit import LONG_SECONDS, ThreadLimit
from django_loco.worker.pools.work_queue import WorkQueue

from ..support import Clock, claimed_of
from .simulation import Interpreter, SimulatedThread, Work

SIZE = 40
EMPTY = Work(computes=0.0002)
SLEEP = Work(computes=0.0002, waits=0.05)
COMPUTE = Work(computes=0.001)
FREE, BUSY = 0.0, 1.0


def test_jobs_that_compute_share_one_thread():
    interpreter = Interpreter(SIZE)
    interpreter.add("add", [COMPUTE] * 500)
    interpreter.run()
    assert len(interpreter.threads) <= 2
    assert {limit for _, limit in interpreter.history} <= {1, 2}


def test_jobs_that_wait_have_all_threads_within_milliseconds():
    interpreter = Interpreter(SIZE)
    began = interpreter.clock()
    interpreter.add("fail", [SLEEP] * 400)
    seconds = interpreter.run()
    assert interpreter.starts["fail"][SIZE - 1] - began < 0.02
    assert seconds < 1.06 * 400 / SIZE * 0.0502 + 0.02


@pytest.mark.parametrize("short", [EMPTY, COMPUTE])
def test_a_mix_loses_little_against_the_best_fixed_limit(short):
    def seconds(fixed: int | None) -> float:
        interpreter = Interpreter(SIZE, fixed)
        for _ in range(300):
            interpreter.add("add", [short])
            interpreter.add("fail", [SLEEP])
        return interpreter.run()

    assert seconds(None) < 1.06 * min(seconds(fixed) for fixed in (1, 10, SIZE)) + 0.02


def test_the_first_of_a_burst_of_waiting_jobs_begins_soon():
    interpreter = Interpreter(SIZE)
    interpreter.add("add", [EMPTY] * 200)
    interpreter.run(until=0.02)
    began = interpreter.clock()
    interpreter.add("fail", [SLEEP] * 100)
    interpreter.run()
    assert interpreter.starts["fail"][0] - began < 200 * EMPTY.computes
    assert interpreter.starts["fail"][SIZE - 1] - interpreter.starts["fail"][0] < 0.06


def test_a_long_computation_does_not_hold_up_short_jobs():
    interpreter = Interpreter(SIZE)
    began = interpreter.clock()
    interpreter.add("add", [Work(computes=10.0)])
    interpreter.add("fail", [EMPTY] * 10)
    interpreter.run(until=1.0)
    assert len(interpreter.starts["fail"]) == 10
    assert interpreter.starts["fail"][-1] - began < 0.2


def test_computing_without_the_interpreter_is_done_side_by_side():
    interpreter = Interpreter(SIZE)
    interpreter.add("add", [Work(computes=0.01, needs_lock=False)] * 200)
    assert interpreter.run() < 200 * 0.01 / 10


def test_when_waiting_jobs_become_computing_ones_the_threads_are_few_again():
    interpreter = Interpreter(SIZE)
    interpreter.add("add", [SLEEP] * 200)
    interpreter.add("add", [COMPUTE] * 2_000)
    interpreter.run()
    late = [limit for at, limit in interpreter.history if at > interpreter.starts["add"][1_000]]
    assert max(late) <= 2


def test_the_limit_does_not_flap_under_steady_work():
    interpreter = Interpreter(SIZE)
    interpreter.add("add", [EMPTY] * 5_000)
    interpreter.run()
    limits = [limit for _, limit in interpreter.history[20:]]
    assert sum(a != b for a, b in pairwise(limits)) <= len(limits) / 10


@pytest.mark.parametrize("waits", [0.05, 5.0])
def test_jobs_that_wait_have_all_threads_while_another_computes(waits):
    interpreter = Interpreter(SIZE)
    interpreter.add("add", [Work(computes=10.0)])
    interpreter.run(until=0.1)
    began = interpreter.clock()
    interpreter.add("fail", [Work(computes=0.0002, waits=waits)] * 400)
    interpreter.run(until=2.0)
    assert interpreter.starts["fail"][SIZE - 2] - began < 0.5


# Step by step: which threads it wakes, starts and counts


@pytest.fixture
def clock() -> Clock:
    return Clock()


def queue_of(clock: Clock, start: Callable[..., Any] = lambda **_: None, fixed: int | None = None) -> WorkQueue:
    return WorkQueue(ThreadLimit(3, fixed, clock=clock), start, clock=clock, has_idle_core=lambda now: True)


def asleep(work: WorkQueue, count: int) -> list[Any]:
    threads = [SimulatedThread(is_asleep=True) for _ in range(count)]
    for thread in threads:
        assert work.take(thread) is None  # type: ignore[arg-type]
    return threads


@pytest.mark.parametrize(("late", "fixed"), [(FREE, None), (BUSY, None), (FREE, 3), (BUSY, 3)])
def test_a_woken_thread_that_is_held_up_does_not_keep_the_job_from_others(clock, late, fixed):
    work = queue_of(clock, fixed=fixed)
    threads = asleep(work, 2)
    work.put([claimed_of("nothing")])
    assert [thread.is_asleep for thread in threads] == [True, False]
    clock.now += 2 * LONG_SECONDS
    assert work.adapt(threads, late)
    assert [thread.is_asleep for thread in threads] == [False, False]


def test_a_fixed_limit_counts_jobs_that_wait(clock):
    work = queue_of(clock, fixed=1)
    threads = asleep(work, 2)
    work.put([claimed_of("nothing"), claimed_of("nothing")])
    threads[1].current = work.take(threads[1])
    for _ in range(10):
        clock.now += LONG_SECONDS
        assert not work.adapt(threads, FREE)
    assert (len(work._counted), len(work)) == (1, 1)
    assert threads[0].is_asleep


def test_the_interpreter_is_not_called_busy_after_the_last_job_was_taken(clock):
    work = queue_of(clock)
    [thread] = asleep(work, 1)
    work.put([claimed_of("nothing")])
    work.adapt([thread], BUSY)
    assert work.has_backlog()
    assert work.limit.is_busy
    work.take(thread)
    assert not work.has_backlog()
    assert not work.limit.is_busy


def test_a_system_without_more_threads_does_not_fill_the_log(clock, caplog):
    caplog.set_level("INFO")
    is_full = True

    def start(**options: Any) -> Any:
        if is_full:
            raise NoThread("there are none")
        return SimulatedThread(is_asleep=False)

    work = queue_of(clock, start)
    work.put([claimed_of("nothing")])
    for _ in range(110):
        clock.now += 1
        work.adapt([], FREE)
    is_full = False
    assert work.adapt([], FREE)
    assert [(record.getMessage(), record.exc_info) for record in caplog.records] == [
        ("The worker cannot start another thread for jobs for now: there are none", None),
        ("The worker can start another thread for jobs again, after 111 tries", None),
    ]
