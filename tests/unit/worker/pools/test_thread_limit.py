"""The rules by which the limit follows the work, on a clock of the tests."""

from __future__ import annotations

import pytest

from django_loco.worker.pools.thread_limit import (
    LATE_SECONDS,
    MAX_PAUSE,
    MAX_TASKS,
    TRIAL_SECONDS,
    ThreadLimit,
)

from ..support import Clock

FREE, BUSY = 0.0, 2 * LATE_SECONDS
#: The time between two samples.
SAMPLE = TRIAL_SECONDS / 4 + 0.001


class Limited:
    """A limit whose samples come regularly, and jobs that begin at the rate that ``jobs_per_second`` has for it."""

    def __init__(self, jobs_per_second):
        self.clock = Clock()
        self.limit = ThreadLimit(40, clock=self.clock)
        self._jobs_per_second, self._begun = jobs_per_second, 0.0

    def samples(self, count, late=FREE):
        """Take samples; return the limits after them."""
        return [self._sample(late) for _ in range(count)]

    def samples_for(self, seconds):
        return self.samples(round(seconds / SAMPLE))

    def _sample(self, late):
        self.clock.now += SAMPLE
        self._begun += SAMPLE * self._jobs_per_second(self.limit.now)
        self.limit.note_sample(late, int(self._begun))
        return self.limit.now


def samples(limit: ThreadLimit, *lateness: float) -> list[int]:
    limits = []
    for late in lateness:
        limit.note_sample(late, 0)
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


def test_after_it_was_busy_once_each_trial_that_succeeds_adds_twice_as_many():
    limited = Limited(lambda threads: 1_000 * threads)
    limited.samples(1, BUSY)
    assert list(dict.fromkeys(limited.samples_for(0.5))) == [1, 2, 4, 8, 16, 32, 40]


def test_it_grows_no_further_than_jobs_begin_faster():
    limited = Limited(lambda threads: 1_000 * min(threads, 8))
    limited.samples(1, BUSY)
    limits = limited.samples_for(60)
    assert limits.count(8) > 0.9 * len(limits)
    assert max(limits[len(limits) // 2 :]) == 9


def test_it_hardly_ever_leaves_one_thread_if_a_second_one_gains_nothing():
    limited = Limited(lambda threads: 1_000 / threads)
    limited.samples(1, BUSY)
    limited.samples_for(10)
    limits = limited.samples_for(60)
    assert set(limits) == {1, 2}
    assert limits.count(2) < 0.03 * len(limits)


def test_after_many_trials_that_failed_it_still_grows_within_seconds():
    faster = 0
    limited = Limited(lambda threads: 1_000 * threads**faster)
    limited.samples(1, BUSY)
    assert max(limited.samples_for(60)) == 2
    faster = 1
    assert max(limited.samples_for((MAX_PAUSE + 10) * (TRIAL_SECONDS + 2 * SAMPLE))) == 40


def test_a_busy_sample_ends_a_trial():
    limited = Limited(lambda threads: 1_000 * threads)
    limited.samples(1, BUSY)
    while limited.limit.now == 1:
        limited.samples(1)
    assert limited.samples(1, BUSY) == [1]
    assert set(limited.samples_for(TRIAL_SECONDS)) == {1}, "the next one comes later"


def test_a_busy_sample_in_a_trial_leaves_no_more_threads_than_one_before_it():
    limited = Limited(lambda threads: 1_000 * threads)
    limited.samples(1, BUSY)
    assert limited.samples_for(0.5)[-1] == 40
    assert limited.samples(6, BUSY)[-1] == 1
    while limited.limit.now == 1:
        limited.samples(1)
    assert limited.limit.now == 2, "a trial begins with one more, however large the last one was"
    assert limited.samples(1, BUSY) == [1]


def test_free_samples_have_to_come_in_a_row():
    limited = Limited(lambda threads: 1_000 * threads)
    limited.samples(1, BUSY)
    for _ in range(20):
        assert set(limited.samples_for(TRIAL_SECONDS) + limited.samples(1, BUSY)) == {1}


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
    assert not limit.waits("shop.tasks.call"), "once may be by chance"
    limit.note_waiting("shop.tasks.call")
    assert limit.waits("shop.tasks.call")
    assert not limit.waits("shop.tasks.other")
    clock.now += 0.3
    assert not limit.waits("shop.tasks.call")


def test_a_task_does_not_wait_if_hardly_any_of_its_jobs_was_seen_to_wait():
    limit = ThreadLimit(40)
    for _ in range(10):
        limit.note_waiting("shop.tasks.empty")
        for _ in range(100):
            limit.note_begun("shop.tasks.empty")
        assert not limit.waits("shop.tasks.empty")
    limit.note_waiting("shop.tasks.empty")
    assert not limit.waits("shop.tasks.empty")


def test_a_task_whose_jobs_begin_to_wait_is_soon_known():
    limit = ThreadLimit(40)
    limit.note_waiting("shop.tasks.call")
    for _ in range(100_000):
        limit.note_begun("shop.tasks.call")
    for _ in range(15):
        limit.note_waiting("shop.tasks.call")
        limit.note_begun("shop.tasks.call")
    assert limit.waits("shop.tasks.call")


def test_any_number_of_tasks_takes_little_memory():
    limit = ThreadLimit(40)
    for number in range(3 * MAX_TASKS):
        limit.note_waiting(f"shop.tasks.{number}")
        limit.note_waiting(f"shop.tasks.{number}")
    assert limit.waits(f"shop.tasks.{3 * MAX_TASKS - 1}")
    assert len(limit._seen) <= MAX_TASKS


def test_without_a_backlog_the_interpreter_is_not_called_busy():
    limit = ThreadLimit(40)
    samples(limit, BUSY)
    assert limit.is_busy
    limit.note_no_backlog()
    assert not limit.is_busy
