"""Which jobs a worker does not begin because another one has closed their limits."""

from __future__ import annotations

import pytest

from django_loco.worker.fetching.closed_limits import FORGOTTEN_SECONDS, STORED_SECONDS, ClosedLimits

from ..support import Clock


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = 1_000.0
    return clock


def test_jobs_that_were_taken_before_are_refused_if_one_of_their_keys_is_closed(clock):
    closed = ClosedLimits(clock)
    assert not closed.refuse("api:7", 999.0)
    closed.close(("api:7", "db"), 30)
    clock.now += 20
    assert [closed.refuse(limit_key, 999.0) for limit_key in ("api:7", "mail db", "api:8 mail")] == [True, True, False]


@pytest.mark.parametrize(("seconds", "passed"), [(30, STORED_SECONDS), (0.25, 0.25)])
def test_jobs_that_the_store_hands_over_when_it_knows_may_begin(clock, seconds, passed):
    """Else they would go to and fro if somebody has opened the key there."""
    closed = ClosedLimits(clock)
    closed.close(("api",), seconds)
    assert [closed.refuse("api", 1_000 + after) for after in (passed - 0.01, passed + 0.01)] == [True, False]


def test_keys_are_forgotten(clock):
    closed = ClosedLimits(clock)
    closed.close(("old",), 3600)
    clock.now += FORGOTTEN_SECONDS + STORED_SECONDS + 1
    assert closed.refuse("old", 999.0)
    closed.close(("new",), 1)
    assert not closed.refuse("old", 999.0)
    assert closed.refuse("new", 999.0)
