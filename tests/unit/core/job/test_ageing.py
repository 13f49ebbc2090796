"""Which of two jobs comes first when waiting counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from django_loco import jobs
from django_loco.conf import problems
from django_loco.core.job import RUNNING, Job, utcnow
from django_loco.core.job.ageing import MAX_AGEING_SECONDS, aged_priority, rank
from django_loco.queues import Claim

NOW = datetime(2026, 11, 28, tzinfo=UTC)
STEP = 60.0


def waiting(priority: int, seconds: float) -> Job:
    return Job(task_path="a.b", backend="default", priority=priority, enqueued_at=NOW - timedelta(seconds=seconds))


@pytest.mark.parametrize("later", [0, 1, 1000, 10_000_000])
def test_the_order_of_ranks_is_that_of_aged_priorities_at_any_time(later):
    now = NOW + timedelta(seconds=later)
    some = [waiting(priority, seconds) for priority in (-100, -1, 0, 1, 100) for seconds in (0.0, 59.5, 61.0, 7000.0)]
    exact = sorted(some, key=lambda job: -(job.priority + (now - job.due_at).total_seconds() / STEP))
    assert sorted(some, key=lambda job: rank(job.priority, job.due_at, STEP)) == exact


def test_without_ageing_priorities_decide():
    low, high = waiting(0, 1e6), waiting(1, 0)
    assert rank(high.priority, high.due_at, None) < rank(low.priority, low.due_at, None)
    assert aged_priority(low, NOW, None) == 0


def test_the_priority_that_counts():
    assert aged_priority(waiting(-5, 59), NOW, STEP) == -5
    assert aged_priority(waiting(-5, 61), NOW, STEP) == -4
    assert aged_priority(waiting(100, 600.5), NOW, STEP) == 110
    assert aged_priority(waiting(3, -600), NOW, STEP) == 3
    assert aged_priority(replace(waiting(3, 600), status=RUNNING), NOW, STEP) == 3


def test_what_somebody_has_edited_is_no_error():
    assert rank(10**12, NOW, STEP) == (0, NOW)
    assert rank(-100, datetime.max.replace(tzinfo=UTC), STEP) == (0, datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize("value", [0, -1, True, "60", float("nan"), MAX_AGEING_SECONDS + 1])
def test_settings_that_are_refused(value):
    with override_settings(LOCO={"AGEING": value}):
        [problem] = problems()
    assert problem == f"LOCO['AGEING'] is {value!r}; it must be a number of seconds above 0, 30 days at most, or None."


@pytest.mark.parametrize("value", [None, 0.5, 60, MAX_AGEING_SECONDS])
def test_a_claim_has_the_setting(value):
    with override_settings(LOCO={"AGEING": value}):
        assert Claim(worker_id="w", lease=1.0).ageing == value


def test_it_is_shown_with_the_priority():
    old = waiting(-5, (NOW - NOW).total_seconds())
    with override_settings(LOCO={"AGEING": STEP}):
        shown = jobs.shown_job(replace(old, enqueued_at=NOW), NOW + timedelta(seconds=601))
    assert (shown["priority"], shown["aged_priority"]) == (-5, 5)
    assert jobs.shown_job(old, utcnow())["aged_priority"] is None
