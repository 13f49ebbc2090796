"""The sentence about all jobs: the worst first."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.dashboard.charts.activity import Activity
from django_loco.dashboard.pages.overview.facts import Facts, ScheduleFacts
from django_loco.dashboard.pages.overview.health import health_of
from django_loco.jobs.control import AliasPause
from django_loco.scheduler import Problem

EMPTY = Facts(
    at=utcnow(),
    queues=(),
    ages={},
    unread=frozenset(),
    workers=(),
    workerless=(),
    rates={},
    activity=Activity((), {}, ()),
    failures=(),
    schedules=ScheduleFacts(),
    is_scheduler_missing=False,
)


def queue(ready, *, paused=False):
    zero = jobs.Count(0, is_capped=False)
    return jobs.QueueStats(
        backend="default",
        queue="emails",
        ready=jobs.Count(ready, is_capped=ready >= 10_000),
        running=zero,
        failed=zero,
        done=zero,
        oldest_due_age=None,
        is_paused=paused,
    )


START = "Start one: manage.py loco_scheduler, or loco_start --scheduler."
NO_SCHEDULER = {"schedules": ScheduleFacts(waiting=2), "is_scheduler_missing": True}
WRONG = Problem("It is wrong.", "", "nightly")
FAILED = {"rates": {("default", "emails"): jobs.QueueRates(failed_last_hour=2)}}


@pytest.mark.parametrize(
    ("given", "level", "sentence"),
    [
        ({}, "good", "0 workers are alive, no job waits for long, and none failed in the last hour."),
        ({"queues": [queue(10_000)], "workerless": ["default"]}, "bad", "No worker is alive, and 10,000+ jobs wait."),
        ({"queues": [queue(0)], "workerless": ["default"], **FAILED}, "warning", "2 jobs failed in the last hour."),
        (
            {**NO_SCHEDULER, **FAILED},
            "bad",
            f"No scheduler is alive, and 2 schedules wait. {START}",
        ),
        ({**NO_SCHEDULER, "is_scheduler_missing": False, **FAILED}, "warning", "2 jobs failed in the last hour."),
        ({**NO_SCHEDULER, "schedules": ScheduleFacts(), **FAILED}, "warning", "2 jobs failed in the last hour."),
        (
            {**NO_SCHEDULER, "queues": [queue(1)], "workerless": ["default"]},
            "bad",
            "No worker is alive, and 1 job waits.",
        ),
        (
            {"ages": {("default", "emails"): 90.0}, **FAILED},
            "warning",
            "The oldest job of emails has waited for 1 min.",
        ),
        (
            {"pauses": [AliasPause(backend=alias, kind="task", name="shop.pay") for alias in "ab"]},
            "warning",
            "Tasks or tags are paused: shop.pay.",
        ),
        ({"ages": {("default", "emails"): 300.0}}, "bad", "The oldest job of emails has waited for 5 min."),
        (
            {"ages": {("default", "emails"): 900.0}, "queues": [queue(3, paused=True)]},
            "warning",
            "Jobs wait in paused queues: emails.",
        ),
        ({"schedules": ScheduleFacts(off=[WRONG])}, "warning", "1 schedule is off, because of a mistake in it."),
        ({"workers": [SimpleNamespace(is_alive=False)]}, "warning", "1 worker has stopped responding."),
    ],
)
def test_the_worst_is_said(given, level, sentence):
    health = health_of(replace(EMPTY, **given))
    assert (health.level, health.sentence) == (level, sentence)
