"""The moments before the deadline of a stop."""

from __future__ import annotations

import math

from django_loco.worker.fetching.deadline import ShutdownDeadline


def ending(now: float = 100.0) -> ShutdownDeadline:
    return ShutdownDeadline(lambda: now)


def test_without_a_deadline_nothing_ends():
    end = ending()
    assert not end.has_begun
    assert end.max_wait == math.inf


def test_jobs_are_waited_for_until_a_second_before_the_deadline():
    end = ending()
    end.set(125.0)
    assert end.has_begun
    assert (end.cancel_at, end.release_at, end.deadline) == (124.0, 124.5, 125.0)
    assert end.max_wait == 24.0


def test_of_a_short_time_nine_tenths_are_the_jobs():
    end = ending()
    end.set(101.0)
    assert (end.cancel_at, end.release_at, end.deadline) == (100.9, 100.95, 101.0)


def test_a_deadline_that_is_past_leaves_no_time():
    end = ending()
    end.set(90.0)
    assert end.cancel_at == end.release_at == end.deadline == 90.0
    assert end.max_wait == math.inf


def test_a_second_stop_can_only_hurry():
    end = ending()
    end.set(125.0)
    end.set(200.0)
    assert end.deadline == 125.0
    end.set(110.0)
    assert end.deadline == 110.0
