"""Sums of minutes, and percentiles."""

from __future__ import annotations

import pytest

from django_loco.dashboard.activity import RANGES, bars_of, enqueued_by_queue, percentiles_of, quantile
from django_loco.queues.records.minutes import BOUNDS, BUCKETS, NUMBERS, Labels, Minute

HOUR, DAY = RANGES["1h"], RANGES["24h"]
NOW = 29_000_007


def minute(at, outcome, runs, queue_name="default"):
    numbers = dict.fromkeys(NUMBERS, 0) | {"count": runs, "duration_2": runs, "wait_0": runs}
    return Minute(Labels(at, queue_name, "shop.pay", outcome), tuple(numbers.values()))


def test_bars_add_up_outcomes_and_leave_out_what_was_enqueued_or_is_too_old():
    rows = [minute(NOW, kind, 2) for kind in ("successful", "failed", "lost", "retried", "cancelled", "enqueued")]
    bars = bars_of([*rows, minute(NOW - 60, "failed", 9), minute(NOW + 1, "failed", 9)], HOUR, NOW)
    assert len(bars) == 60
    assert [(bar.succeeded, bar.failed, bar.other, bar.runs) for bar in bars if bar.runs] == [(2, 4, 4, 10)]
    assert bars[-1].at.timestamp() == NOW * 60


def test_bars_of_a_day_begin_at_quarters_of_an_hour():
    bars = bars_of([minute(NOW, "failed", 1)], DAY, NOW)
    assert len(bars) == 96
    assert bars[-1].failed == 1
    assert {bar.at.minute % 15 for bar in bars} == {0}


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
