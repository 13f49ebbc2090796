"""Sums of the statistics by queue and task."""

from __future__ import annotations

import pytest

from django_loco.dashboard.charts.activity import RANGES
from django_loco.dashboard.charts.breakdown import Sums, by_key, most
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute

HOUR = RANGES["1h"]
NOW = 29_000_007


def minute(outcome, runs, at=NOW, path="shop.pay", bucket=2):
    numbers = dict.fromkeys(NUMBERS, 0) | {"count": runs, f"duration_{bucket}": runs, "wait_0": runs}
    return Minute(Labels(at, "default", path, outcome), tuple(numbers.values()))


def sums_of(*minutes):
    found = by_key({"a": minutes}, HOUR, NOW, lambda alias, labels: (alias, labels.queue_name))
    return found["a", "default"]


def test_outcomes_are_told_apart():
    kinds = ("successful", "failed", "lost", "retried", "snoozed", "cancelled", "enqueued")
    sums = sums_of(*(minute(kind, 2) for kind in kinds))
    assert (sums.succeeded, sums.failed, sums.other, sums.enqueued, sums.runs) == (2, 2, 8, 2, 12)
    assert sums.failure_rate == pytest.approx(2 / 4)
    assert (sums.ended_by_bar[-1], sums.failed_by_bar[-1]) == (12, 2)


def test_what_is_outside_of_the_range_is_left_out():
    sums = sums_of(minute("failed", 1), minute("failed", 9, NOW - 60), minute("failed", 9, NOW + 1))
    assert (sums.failed, sums.failed_by_bar) == (1, [*[0] * 59, 1])


def test_each_key_has_its_own():
    minutes = {"a": [minute("failed", 1), minute("failed", 2, path="shop.send")], "b": [minute("failed", 4)]}
    found = by_key(minutes, HOUR, NOW, lambda _, labels: labels.task_path)
    assert {path: sums.failed for path, sums in found.items()} == {"shop.pay": 5, "shop.send": 2}
    assert [path for path, _ in most(found, lambda sums: sums.failed, 1)] == ["shop.pay"]


def test_percentiles_are_those_of_all_rows():
    sums = sums_of(minute("successful", 10, bucket=2), minute("failed", 10, NOW - 1, bucket=4))
    assert sums.duration(50) == pytest.approx(0.1)
    assert sums.duration(100) == pytest.approx(1.0)
    assert sums.wait(50) == pytest.approx(0.005)


def test_without_runs_there_is_neither_a_rate_nor_a_percentile():
    sums = sums_of(minute("enqueued", 4))
    assert (sums.failure_rate, sums.wait(50), sums.duration(95)) == (None, None, None)


def test_sums_are_added():
    parts = [minute("successful", 3), minute("failed", 2, NOW - 5), minute("retried", 1, bucket=4)]
    assert sums_of(*parts[:1]).plus(sums_of(*parts[1:])) == sums_of(*parts)
    assert Sums(HOUR.bars).plus(sums_of(*parts)) == sums_of(*parts)
