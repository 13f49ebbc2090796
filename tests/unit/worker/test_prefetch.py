"""How many jobs the worker asks for, and when those that wait go back."""

from __future__ import annotations

import math

import pytest

from django_loco.worker.claimed_job import Run
from django_loco.worker.prefetch import MAX_STOCK, RATE_STEP, Share

from .support import Clock, FakePool, run_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool() -> FakePool:
    return FakePool(4)


@pytest.fixture
def share(pool: FakePool, clock: Clock) -> Share:
    return Share(pool, clock)


def runs(count: int, clock: Clock) -> list[Run]:
    made = [run_of("nothing") for _ in range(count)]
    for run in made:
        run.fetched_at = clock.now
    return made


def test_at_first_it_asks_for_what_can_start_at_once(share, clock):
    assert share.room == 4
    share.hand(runs(3, clock))
    assert share.room == 1


def test_an_empty_pool_wants_nothing(clock):
    share = Share(FakePool(0), clock)
    share.take_back(0)
    assert share.room == 0


def work(share: Share, clock: Clock, *, per_second: float, seconds: float) -> None:
    """Let as many jobs end, evenly."""
    done = 0
    for step in range(int(seconds * 50)):
        clock.now += 0.02
        count = int(per_second * 0.02 * (step + 1)) - done
        done += count
        share.held += count
        share.take_back(count)


def test_fast_jobs_are_kept_in_stock_for_a_tenth_of_a_second(share, clock):
    work(share, clock, per_second=1000, seconds=4)
    assert share.room == pytest.approx(4 + 100, abs=3)


def test_slow_jobs_are_not(share, clock):
    work(share, clock, per_second=5, seconds=4)
    assert share.room == 4


def test_the_stock_melts_when_the_jobs_get_slow(share, clock):
    work(share, clock, per_second=1000, seconds=4)
    work(share, clock, per_second=0, seconds=3)
    assert share.room == 4


def test_the_stock_has_a_limit(share, clock):
    work(share, clock, per_second=1_000_000, seconds=4)
    assert share.room == 4 + MAX_STOCK


def test_a_full_pool_asks_for_nothing(share, clock):
    share.hand(runs(9, clock))
    assert share.room == 0


def test_what_has_waited_a_second_goes_back(share, pool, clock):
    old = runs(6, clock)
    share.hand(old)
    pool.begin(4)
    clock.now += 0.9
    assert share.withdraw_stale() == []
    clock.now += 0.2
    assert share.withdraw_stale() == old[4:]
    assert share.held == 4


def test_it_says_when_to_look_again(share, pool, clock):
    assert share.patience == math.inf
    share.hand(runs(2, clock))
    clock.now += 0.3
    assert share.patience == pytest.approx(0.7)
    pool.begin(2)
    share.withdraw_stale()
    assert share.patience == math.inf


def test_it_looks_again_when_the_oldest_has_waited_long_enough(share, clock):
    share.hand(runs(1, clock))
    clock.now += 0.3
    share.hand(runs(1, clock))
    assert share.patience == pytest.approx(0.7)
    clock.now += 5
    assert share.patience == RATE_STEP  # overdue, but no busy loop


def test_what_is_settled_waits_no_more(share, clock):
    handed = runs(2, clock)
    share.hand(handed)
    handed[0].settle()
    assert share.waiting == 1
    clock.now += 2
    assert share.withdraw_stale() == handed[:1], "the pool is asked for one"


def test_what_came_later_stays(share, pool, clock):
    share.hand(runs(6, clock))
    pool.begin(4)
    clock.now += 0.5
    late = runs(2, clock)
    share.hand(late)
    clock.now += 0.6
    assert len(share.withdraw_stale()) == 2
    assert pool.inbox == late
    assert share.waiting == 2 + 2  # the two withdrawn count until they are settled
    assert share.held == 6


def test_all_that_has_not_begun_can_be_taken_back(share, pool, clock):
    handed = runs(6, clock)
    share.hand(handed)
    pool.begin(4)
    assert share.withdraw() == handed[4:]
    assert share.held == 4
    assert share.waiting == 0


def test_the_pool_is_told_how_many_jobs_it_has(share, pool, clock):
    share.hand(runs(2, clock))
    share.hand(runs(3, clock))
    assert pool.held == 5
    share.take_back(4)
    share.hand(runs(1, clock))
    assert pool.held == 2
