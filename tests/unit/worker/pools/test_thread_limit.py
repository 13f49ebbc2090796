"""The rules by which the limit follows the work, on a clock of the tests."""

from __future__ import annotations

import pytest

from django_loco.worker.pools.thread_limit import CALM_TICKS, FREE_TICKS, LATE_SECONDS, MAX_TASKS, ThreadLimit

from ..support import Clock

FREE, BUSY = 0.0, 2 * LATE_SECONDS


def ticks(limit: ThreadLimit, *lateness: float) -> list[int]:
    limits = []
    for late in lateness:
        limit.note_tick(late)
        limits.append(limit.now)
    return limits


def test_it_begins_with_one_thread_and_doubles_while_the_interpreter_is_free():
    limit = ThreadLimit(40)
    assert limit.now == 1
    assert ticks(limit, *[FREE] * 7) == [2, 4, 8, 16, 32, 40, 40]


def test_a_busy_interpreter_halves_it_down_to_one():
    limit = ThreadLimit(40)
    ticks(limit, *[FREE] * 6)
    assert ticks(limit, *[BUSY] * 7) == [20, 10, 5, 2, 1, 1, 1]


def test_after_it_was_busy_once_the_limit_grows_slowly():
    limit = ThreadLimit(40)
    assert ticks(limit, BUSY, *[FREE] * FREE_TICKS) == [1] * FREE_TICKS + [2]
    assert ticks(limit, *[FREE] * FREE_TICKS) == [2] * (FREE_TICKS - 1) + [3]


def test_free_ticks_have_to_come_in_a_row():
    limit = ThreadLimit(40)
    ticks(limit, BUSY)
    for _ in range(10):
        assert ticks(limit, *[FREE] * (FREE_TICKS - 1), BUSY) == [1] * FREE_TICKS


def test_after_a_calm_time_it_doubles_again():
    limit = ThreadLimit(1_000)
    ticks(limit, BUSY)
    before = ticks(limit, *[FREE] * CALM_TICKS)[-1]
    assert before == 1 + CALM_TICKS // FREE_TICKS
    assert ticks(limit, FREE, FREE) == [2 * before, 4 * before]


@pytest.mark.parametrize(("most", "fixed", "expected"), [(40, 3, 3), (40, 40, 40), (2, 5, 2), (0, None, 0)])
def test_a_fixed_limit_stays(most, fixed, expected):
    limit = ThreadLimit(most, fixed)
    assert limit.is_fixed == (fixed is not None)
    if fixed is not None:
        assert ticks(limit, FREE, FREE, BUSY, BUSY) == [expected] * 4
    assert limit.now == expected


def test_a_task_that_waits_is_remembered_for_a_while():
    clock = Clock()
    limit = ThreadLimit(40, clock=clock)
    limit.note_waiting("shop.tasks.call")
    assert limit.waits("shop.tasks.call")
    assert not limit.waits("shop.tasks.other")
    clock.now += 0.3
    assert not limit.waits("shop.tasks.call")


def test_any_number_of_tasks_takes_little_memory():
    limit = ThreadLimit(40)
    for number in range(3 * MAX_TASKS):
        limit.note_waiting(f"shop.tasks.{number}")
    assert limit.waits(f"shop.tasks.{3 * MAX_TASKS - 1}")
    assert len(limit._waits_until) <= MAX_TASKS


def test_without_a_backlog_the_interpreter_is_not_called_busy():
    limit = ThreadLimit(40)
    ticks(limit, BUSY)
    assert limit.is_busy
    limit.note_no_backlog()
    assert not limit.is_busy
