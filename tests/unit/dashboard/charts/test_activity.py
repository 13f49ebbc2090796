"""Sums of minutes, and percentiles."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from django_loco.dashboard.charts import activity as module
from django_loco.dashboard.charts.activity import (
    RANGES,
    bars_of,
    enqueued_by_queue,
    minutes_in,
    percentiles_of,
    quantile,
    releases,
)
from django_loco.jobs.page_parts.scope import EVERYTHING
from django_loco.queues.records.minutes import BOUNDS, BUCKETS, KEPT_MINUTES, NUMBERS, Labels, Minute
from django_loco.queues.workers import WorkerInfo

HOUR, DAY = RANGES["1h"], RANGES["1d"]
NOW = 29_000_007


def minute(at, outcome, runs, queue_name="default"):
    numbers = dict.fromkeys(NUMBERS, 0) | {"count": runs, "duration_2": runs, "wait_0": runs}
    return Minute(Labels(at, queue_name, "shop.pay", outcome), tuple(numbers.values()))


def test_bars_add_up_outcomes_and_leave_out_what_was_enqueued_or_is_too_old():
    rows = [minute(NOW, kind, 2) for kind in ("successful", "failed", "lost", "retried", "cancelled", "enqueued")]
    bars = bars_of([*rows, minute(NOW - 60, "failed", 9), minute(NOW + 1, "failed", 9)], HOUR, NOW)
    assert len(bars) == 60
    assert [(bar.succeeded, bar.failed, bar.other, bar.runs) for bar in bars if bar.runs] == [(2, 2, 6, 10)]
    assert bars[-1].at.timestamp() == NOW * 60


def test_bars_of_a_day_are_hours():
    bars = bars_of([minute(NOW, "failed", 1)], DAY, NOW)
    assert len(bars) == 24
    assert bars[-1].failed == 1
    assert {bar.at.minute for bar in bars} == {0}


def test_lines_are_by_queue():
    rows = [minute(NOW, "enqueued", 3, "emails"), minute(NOW - 59, "enqueued", 1), minute(NOW, "failed", 1)]
    lines = enqueued_by_queue(rows, HOUR, NOW)
    assert (lines["emails"][-1], lines["default"][0], lines["default"][-1]) == (3, 1, 0)


@pytest.mark.parametrize(
    ("bucket", "percent", "seconds"), [(0, 50, 0.005), (2, 50, 0.065), (2, 100, 0.1), (BUCKETS - 1, 50, BOUNDS[-1])]
)
def test_a_percentile_lies_in_its_bucket(bucket, percent, seconds):
    up_to = [0] * bucket + [10] * (BUCKETS - bucket)
    assert quantile(up_to, percent) == pytest.approx(seconds)


def test_without_runs_there_is_no_percentile():
    assert quantile([0] * BUCKETS, 50) is None
    assert {(each.wait, each.run) for each in percentiles_of([minute(NOW, "enqueued", 4)])} == {(None, None)}


def test_ranges_are_of_at_most_two_weeks_and_say_whether_hours_are_enough():
    lengths = {name: each.bars * each.minutes for name, each in RANGES.items()}
    assert lengths == {"5m": 5, "1h": 60, "6h": 360, "1d": 1440, "7d": 7 * 1440, "14d": KEPT_MINUTES}
    assert [name for name, each in RANGES.items() if each.is_by_hours] == ["1d", "7d", "14d"]
    assert [name for name, each in RANGES.items() if each.is_of_days] == ["7d", "14d"]
    assert {each.first(NOW) % 60 for each in RANGES.values() if each.is_by_hours} == {0}


class Asked:
    """A queue that notes what it was asked for."""

    def __init__(self):
        self.notes = []

    def hours(self, since, every):
        self.notes.append(("hours", since, every))
        return ["hour"]

    def minutes(self, since):
        self.notes.append(("minutes", since))
        return ["minute"]


def test_long_ranges_are_read_by_the_hour(monkeypatch):
    queue = Asked()
    monkeypatch.setattr(module, "queue_of", lambda alias: queue)
    assert minutes_in(RANGES["14d"], ["a"], NOW, EVERYTHING) == {"a": ["hour"]}
    assert minutes_in(HOUR, ["a"], NOW, EVERYTHING) == {"a": ["minute"]}
    assert queue.notes == [("hours", RANGES["14d"].first(NOW), 4), ("minutes", NOW - 59)]


def test_a_release_began_when_its_first_worker_started():
    early, late = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2))
    fields = {"host": "h", "pid": 1, "queues": None, "tags": None, "threads": 1, "coroutines": 1, "lease": 30.0}
    workers = [
        WorkerInfo(worker_id="w", started_at=at, release=name, **fields)
        for at, name in ((late, "r1"), (early, "r1"), (late, "r\n2"), (early, ""))
    ]
    assert [at for at, _ in releases(workers)] == [early, late]
    assert all("\n" not in name for _, name in releases(workers))
