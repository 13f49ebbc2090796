"""How many jobs the worker asks for, and when those that wait go back."""

from __future__ import annotations

import math

import pytest

from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.fetching.prefetch import MAX_PREFETCHED, RATE_STEP_SECONDS, Prefetch

from ..support import Clock, FakePool, claimed_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool() -> FakePool:
    return FakePool(4)


@pytest.fixture
def prefetch(pool: FakePool, clock: Clock) -> Prefetch:
    return Prefetch(pool, clock)


def runs(count: int, clock: Clock) -> list[ClaimedJob]:
    made = [claimed_of("nothing") for _ in range(count)]
    for claimed in made:
        claimed.fetched_at = clock.now
    return made


def test_at_first_it_asks_for_what_can_start_at_once(prefetch, clock):
    assert prefetch.room == 4
    prefetch.submit(runs(3, clock))
    assert prefetch.room == 1


def test_an_empty_pool_wants_nothing(clock):
    prefetch = Prefetch(FakePool(0), clock)
    prefetch.note_ended(0)
    assert prefetch.room == 0


def work(prefetch: Prefetch, clock: Clock, *, per_second: float, seconds: float) -> None:
    """Let as many jobs end, evenly."""
    done = 0
    for step in range(int(seconds * 50)):
        clock.now += 0.02
        count = int(per_second * 0.02 * (step + 1)) - done
        done += count
        prefetch.held += count
        prefetch.note_ended(count)


def test_fast_jobs_are_prefetched_for_a_tenth_of_a_second(prefetch, clock):
    work(prefetch, clock, per_second=1000, seconds=4)
    assert prefetch.room == pytest.approx(4 + 100, abs=3)


def test_slow_jobs_are_not(prefetch, clock):
    work(prefetch, clock, per_second=5, seconds=4)
    assert prefetch.room == 4


def test_fewer_are_prefetched_when_the_jobs_get_slow(prefetch, clock):
    work(prefetch, clock, per_second=1000, seconds=4)
    work(prefetch, clock, per_second=0, seconds=3)
    assert prefetch.room == 4


def test_no_more_than_a_limit_are_prefetched(prefetch, clock):
    work(prefetch, clock, per_second=1_000_000, seconds=4)
    assert prefetch.room == 4 + MAX_PREFETCHED


def test_a_full_pool_asks_for_nothing(prefetch, clock):
    prefetch.submit(runs(9, clock))
    assert prefetch.room == 0


def test_what_has_waited_a_second_goes_back(prefetch, pool, clock):
    old = runs(6, clock)
    prefetch.submit(old)
    pool.begin(4)
    clock.now += 0.9
    assert prefetch.withdraw_stale() == []
    clock.now += 0.2
    assert prefetch.withdraw_stale() == old[4:]
    assert prefetch.held == 4


def test_it_says_when_to_look_again(prefetch, pool, clock):
    assert prefetch.max_wait == math.inf
    prefetch.submit(runs(2, clock))
    clock.now += 0.3
    assert prefetch.max_wait == pytest.approx(0.7)
    pool.begin(2)
    prefetch.withdraw_stale()
    assert prefetch.max_wait == math.inf


def test_it_looks_again_when_the_oldest_has_waited_long_enough(prefetch, clock):
    prefetch.submit(runs(1, clock))
    clock.now += 0.3
    prefetch.submit(runs(1, clock))
    assert prefetch.max_wait == pytest.approx(0.7)
    clock.now += 5
    assert prefetch.max_wait == RATE_STEP_SECONDS  # overdue, but no busy loop


def test_what_is_settled_waits_no_more(prefetch, clock):
    handed = runs(2, clock)
    prefetch.submit(handed)
    handed[0].decide()
    assert prefetch.waiting == 1
    clock.now += 2
    assert prefetch.withdraw_stale() == handed[:1], "the pool is asked for one"


def test_what_came_later_stays(prefetch, pool, clock):
    prefetch.submit(runs(6, clock))
    pool.begin(4)
    clock.now += 0.5
    late = runs(2, clock)
    prefetch.submit(late)
    clock.now += 0.6
    assert len(prefetch.withdraw_stale()) == 2
    assert pool.inbox == late
    assert prefetch.waiting == 2 + 2  # the two withdrawn count until they are decided
    assert prefetch.held == 6


def test_all_that_has_not_begun_can_be_taken_back(prefetch, pool, clock):
    handed = runs(6, clock)
    prefetch.submit(handed)
    pool.begin(4)
    assert prefetch.withdraw() == handed[4:]
    assert prefetch.held == 4
    assert prefetch.waiting == 0
