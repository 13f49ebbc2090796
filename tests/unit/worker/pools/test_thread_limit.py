"""The rules by which the limit follows the work, on a clock of the tests."""

from __future__ import annotations

import pytest

from django_loco.worker.pools.thread_limit import CALM_SAMPLES, FREE_SAMPLES, LATE_SECONDS, MAX_TASKS, ThreadLimit

from ..support import Clock

FREE, BUSY = 0.0, 2 * LATE_SECONDS


def samples(limit: ThreadLimit, *lateness: float) -> list[int]:
    limits = []
    for late in lateness:
        limit.note_sample(late)
        limits.append(limit.now)
    return limits


def test_it_begins_with_one_thread_and_doubles_while_the_interpreter_is_free():
    limit = ThreadLimit(40)
    assert limit.now == 1
    assert samples(limit, *[FREE] * 7) == [2, 4, 8, 16, 32, 40, 40]


def test_a_busy_interpreter_halves_it_down_to_one():
    limit = ThreadLimit(40)
    samples(limit, *[FREE] * 6)
    assert samples(limit, *[BUSY] * 7) == [20, 10, 5, 2, 1, 1, 1]


def test_after_it_was_busy_once_the_limit_grows_slowly():
    limit = ThreadLimit(40)
    assert samples(limit, BUSY, *[FREE] * FREE_SAMPLES) == [1] * FREE_SAMPLES + [2]
    assert samples(limit, *[FREE] * FREE_SAMPLES) == [2] * (FREE_SAMPLES - 1) + [3]


def test_free_samples_have_to_come_in_a_row():
    limit = ThreadLimit(40)
    samples(limit, BUSY)
    for _ in range(10):
        assert samples(limit, *[FREE] * (FREE_SAMPLES - 1), BUSY) == [1] * FREE_SAMPLES


def test_after_a_calm_time_it_doubles_again():
    limit = ThreadLimit(1_000)
    samples(limit, BUSY)
    before = samples(limit, *[FREE] * CALM_SAMPLES)[-1]
    assert before == 1 + CALM_SAMPLES // FREE_SAMPLES
    assert samples(limit, FREE, FREE) == [2 * before, 4 * before]


@pytest.mark.parametrize(("most", "fixed", "expected"), [(40, 3, 3), (40, 40, 40), (2, 5, 2), (0, None, 0)])
def test_a_fixed_limit_stays(most, fixed, expected):
    limit = ThreadLimit(most, fixed)
    assert limit.is_fixed == (fixed is not None)
    if fixed is not None:
        assert samples(limit, FREE, FREE, BUSY, BUSY) == [expected] * 4
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
    samples(limit, BUSY)
    assert limit.is_busy
    limit.note_no_backlog()
    assert not limit.is_busy
