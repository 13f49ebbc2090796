"""Rates are averages over the minutes that all processes have written."""

from __future__ import annotations

import pytest

from django_loco.core.job import utcnow
from django_loco.jobs.presentation import rates as rates_module
from django_loco.jobs.presentation.rates import QueueRates, rates
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of


@pytest.fixture
def now(monkeypatch) -> int:
    at = utcnow()
    monkeypatch.setattr(rates_module, "utcnow", lambda: at)
    return minute_of(at.timestamp())


@pytest.fixture
def queue(monkeypatch) -> MemoryQueue:
    queue = MemoryQueue("default", {})
    monkeypatch.setattr(rates_module, "queue_of", lambda alias: queue)
    monkeypatch.setattr(rates_module, "searched", lambda backend: ["default"])
    return queue


def minute(number: int, outcome: str, runs: int, queue_name: str = "default") -> Minute:
    return Minute(Labels(number, queue_name, "shop.send", outcome), (runs, *[0] * (len(NUMBERS) - 1)))


def test_jobs_in_and_out_are_averaged_over_ten_minutes(queue, now):
    for age in range(20):
        queue.record([minute(now - age, "enqueued", 3), minute(now - age, "successful", 2)])
        queue.record([minute(now - age, "cancelled", 1), minute(now - age, "failed", 1)])
        queue.record([minute(now - age, word, 100) for word in ("retried", "interrupted", "lost")])
    assert rates() == {
        ("default", "default"): QueueRates(enqueued_per_minute=3.0, ended_per_minute=4.0, failed_last_hour=20)
    }


@pytest.mark.parametrize(("age", "expected"), [(0, 0.0), (1, 0.0), (2, 1.0), (11, 1.0), (12, 0.0)])
def test_minutes_that_may_be_incomplete_do_not_count(queue, now, age, expected):
    queue.record([minute(now - age, "successful", 10), minute(now - 50, "enqueued", 1)])
    assert rates()["default", "default"].ended_per_minute == expected


@pytest.mark.parametrize(("age", "expected"), [(0, 60.0), (1, 30.0), (2, 60.0), (5, 15.0), (11, 6.0)])
def test_minutes_before_the_first_one_do_not_count(queue, now, age, expected):
    queue.record([minute(now - age, "enqueued", 60), minute(now, "enqueued", 0, "other")])
    assert rates()["default", "default"].enqueued_per_minute == expected


def test_failures_of_the_last_hour_are_counted_by_queue(queue, now):
    queue.record([minute(now - 61, "failed", 100), minute(now - 60, "failed", 1), minute(now, "failed", 2)])
    queue.record([minute(now, "failed", 4, "mail"), minute(now, "successful", 8, "other")])
    assert {name: each.failed_last_hour for (_, name), each in rates().items()} == {
        "default": 3,
        "mail": 4,
        "other": 0,
    }
