"""Ticks are counted by schedule and outcome, under a bounded number of names."""

from __future__ import annotations

from django_loco.metrics.names import MAX_LENGTH, MAX_NAMES, OTHER
from django_loco.metrics.tick_counts import FIRED, LATE, SKIPPED, TickCounts


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
    counts.know({"nightly": lambda: 86400.0, "hourly": lambda: 3600.0})
    counts.add("hourly", FIRED)
    counts.know({"nightly": lambda: 86400.0, "hourly": lambda: 3600.0})  # after the database was read again
    assert counts.all() == {("hourly", FIRED, ""): 1, ("nightly", FIRED, ""): 0}


def test_the_times_of_a_schedule_are_known():
    now = [100.0]
    counts = TickCounts(lambda: now[0])
    counts.know({"nightly": lambda: 86400.0, "hourly": lambda: 3600.0})
    now[0] = 200.0
    counts.add("hourly", LATE)
    counts.add("nightly", SKIPPED, "overlap")
    counts.add("nobody", FIRED)
    assert counts.times() == {"hourly": (100.0, 200.0, 3600.0), "nightly": (100.0, None, 86400.0)}
    now[0] = 300.0
    counts.add("nightly", SKIPPED, "paused")
    counts.know({"nightly": lambda: 60.0})
    assert counts.times() == {"nightly": (100.0, 300.0, 60.0)}


def test_names_are_few_and_short():
    counts = TickCounts()
    counts.know(dict.fromkeys(map(str, range(MAX_NAMES)), lambda: 60.0))
    counts.add("later", FIRED)
    counts.add("later still", FIRED)
    counts.add("7", FIRED)
    assert len(counts.all()) == MAX_NAMES + 1
    assert (counts.all()[OTHER, FIRED, ""], counts.all()["7", FIRED, ""]) == (2, 1)
    long = TickCounts()
    long.add("x" * 10_000, FIRED)
    assert [*long.all()] == [("x" * MAX_LENGTH, FIRED, "")]
