"""Ticks are counted by schedule and outcome, under a bounded number of names."""

from __future__ import annotations

from django_loco.metrics.names import MAX_LENGTH, MAX_NAMES, OTHER
from django_loco.metrics.ticks import FIRED, LATE, SKIPPED, TickCounts


def test_each_outcome_is_counted_by_schedule():
    counts = TickCounts()
    for _ in range(3):
        counts.add("nightly", FIRED)
    counts.add("nightly", LATE)
    counts.add("nightly", SKIPPED, "overlap")
    counts.add("nightly", SKIPPED, "missed")
    counts.add("hourly", SKIPPED, "missed")
    assert counts.all() == {
        ("hourly", SKIPPED, "missed"): 1,
        ("nightly", FIRED, ""): 3,
        ("nightly", LATE, ""): 1,
        ("nightly", SKIPPED, "missed"): 1,
        ("nightly", SKIPPED, "overlap"): 1,
    }
    counts.clear()
    assert counts.all() == {}


def test_schedules_that_have_not_fired_yet_are_counted_from_0_on():
    counts = TickCounts()
    counts.know(["nightly", "hourly"])
    counts.add("hourly", FIRED)
    counts.know(["nightly", "hourly"])  # after the database was read again
    assert counts.all() == {("hourly", FIRED, ""): 1, ("nightly", FIRED, ""): 0}


def test_names_are_few_and_short():
    counts = TickCounts()
    counts.know([f"{number}" for number in range(MAX_NAMES)])
    counts.add("later", FIRED)
    counts.add("later still", FIRED)
    counts.add("7", FIRED)
    assert len(counts.all()) == MAX_NAMES + 1
    assert (counts.all()[OTHER, FIRED, ""], counts.all()["7", FIRED, ""]) == (2, 1)
    long = TickCounts()
    long.add("x" * 10_000, FIRED)
    assert [*long.all()] == [("x" * MAX_LENGTH, FIRED, "")]
