"""Which threads the queue of the pool wakes, starts and counts, step by step and without any real thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_loco.worker.pools.thread_limit import LONG_SECONDS, ThreadLimit
from django_loco.worker.pools.work_queue import REFUSED_SECONDS, WorkQueue

from ..support import Clock, claimed_of
from .simulation import SimulatedThread

FREE, BUSY = 0.0, 1.0


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
    assert (work.counted, len(work)) == (1, 1)
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
    def refuse(**options: Any) -> Any:
        raise RuntimeError("can't start new thread")

    work = queue_of(clock, refuse)
    work.put([claimed_of("nothing")])
    for _ in range(110):
        clock.now += REFUSED_SECONDS / 100
        work.adapt([], FREE)
    assert caplog.text.count("A thread for jobs could not be started") == 2
