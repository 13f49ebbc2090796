"""Which workers that drain may end, by the times at which their fetches found nothing."""

from __future__ import annotations

import pytest

from django_loco.worker.fetching.drain_group import DrainGroup


@pytest.fixture
def group() -> DrainGroup:
    return DrainGroup(["a", "b"])


def test_one_alias_ends_when_it_finds_nothing():
    alone = DrainGroup(["a"])
    assert not alone.note("a", None)
    assert alone.note("a", 5.0)


def test_one_that_has_not_looked_keeps_the_other(group):
    """Its worker may be about to start, or its store may be away."""
    assert not group.note("a", 5.0)
    assert not group.note("a", 6.0)
    assert group.note("b", 5.5)


def test_a_look_from_before_the_last_job_of_the_other_does_not_count(group):
    group.note("a", 5.0)
    group.note("b", None)
    assert not group.note("b", 5.5), "its job may have enqueued one for a"
    assert group.note("a", 6.0)
    assert group.note("b", 6.5)


def test_a_job_that_is_found_begins_a_new_row(group):
    group.note("a", 5.0)
    group.note("a", None)
    group.note("a", 7.0)
    assert not group.note("b", 6.0)
    assert group.note("b", 7.0)


def test_a_job_that_went_round_in_between_is_noticed():
    """b looked, then c enqueued for b and was done, then a looked: only b's next look tells."""
    group = DrainGroup(["a", "b", "c"])
    group.note("a", 1.0)
    group.note("b", 2.0)
    group.note("c", None)
    group.note("c", 3.0)
    assert not group.note("a", 4.0)
    group.note("b", None)
    assert not group.note("a", 5.0)


def test_one_that_has_ended_counts_no_more(group):
    group.note("a", 5.0)
    group.leave("b")
    group.leave("b")
    assert group.note("a", 6.0)


def test_one_that_died_and_was_started_again_counts_once_more(group):
    group.leave("b")
    group.note("b", None)
    assert not group.note("a", 6.0)


def test_when_nobody_has_found_anything_the_others_look_again_at_once(group):
    looks: list[str] = []
    group.note("a", 5.0, lambda: looks.append("a"))
    group.note("b", None, lambda: looks.append("b"))
    assert not looks
    group.note("b", 6.0, lambda: looks.append("b"))
    assert looks == ["a"]
    group.note("a", 7.0, lambda: looks.append("a"))
    assert looks == ["a", "b"]
