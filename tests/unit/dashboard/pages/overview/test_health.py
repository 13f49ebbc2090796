"""The sentences about all jobs: the worst first."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.dashboard.charts.activity import Activity
from django_loco.dashboard.pages.overview.facts import Facts, ScheduleFacts
from django_loco.dashboard.pages.overview.health import health_of
from django_loco.jobs.control.pauses import AliasPause
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
    failed_recently=jobs.Count(0),
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


PAGES = {name: f"/{name}" for name in ("workers", "schedules", "queues", "failures", "tasks")}
NO_WORKER = {"queues": [queue(1)], "workerless": ["default"]}
NO_SCHEDULER = {"schedules": ScheduleFacts(waiting=2), "is_scheduler_missing": True}
WRONG = Problem("It is wrong.", "", "nightly")
FAILED = {"failed_recently": jobs.Count(2)}
TWO_FAILED = ("2 jobs failed in the last hour.", "/failures")


@pytest.mark.parametrize(
    ("given", "level", "sentences"),
    [
        (
            {},
            "good",
            [("0 workers are alive, no job waits for long, and none failed in the last hour.", "")],
        ),
        (
            {**NO_WORKER, "queues": [queue(10_000)]},
            "bad",
            [("No worker is alive, and 10,000+ jobs wait.", "/workers")],
        ),
        ({"queues": [queue(0)], "workerless": ["default"], **FAILED}, "warning", [TWO_FAILED]),
        (
            {**NO_SCHEDULER, **FAILED},
            "bad",
            [("No scheduler is alive, and 2 schedules wait.", "/schedules"), TWO_FAILED],
        ),
        ({**NO_SCHEDULER, "is_scheduler_missing": False, **FAILED}, "warning", [TWO_FAILED]),
        ({**NO_SCHEDULER, "schedules": ScheduleFacts(), **FAILED}, "warning", [TWO_FAILED]),
        (
            {**NO_SCHEDULER, **NO_WORKER, "ages": {("default", "emails"): 900.0}},
            "bad",
            [
                ("No worker is alive, and 1 job waits.", "/workers"),
                ("No scheduler is alive, and 2 schedules wait.", "/schedules"),
            ],
        ),
        (
            {"ages": {("default", "emails"): 90.0}, "queues": [queue(1)], **FAILED},
            "warning",
            [
                (
                    "The oldest job of emails has waited for 1 min.",
                    "/jobs/jobs/?q=status%3Awaiting+queue%3Aemails+backend%3Adefault",
                ),
                TWO_FAILED,
            ],
        ),
        (
            {"ages": {("default", "a, b, c"): 300.0}, **FAILED},
            "bad",
            [("The oldest job of a, b, c has waited for 5 min.", "/queues"), TWO_FAILED],
        ),
        (
            {"pauses": [AliasPause(backend=alias, kind="task", name="shop.pay") for alias in "ab"]},
            "warning",
            [("Tasks or tags are paused: shop.pay.", "/tasks")],
        ),
        (
            {"pauses": [AliasPause(backend="a", kind="tag", name=name) for name in "abcd"]},
            "warning",
            [("Tasks or tags are paused: a, b, c, ….", "/tasks")],
        ),
        (
            {"ages": {("default", "emails"): 900.0}, "queues": [queue(3, paused=True)]},
            "warning",
            [("Jobs wait in paused queues: emails.", "/queues")],
        ),
        (
            {"schedules": ScheduleFacts(off=[WRONG])},
            "warning",
            [("1 schedule is off, because of a mistake in it.", "/schedules")],
        ),
        (
            {"workers": [SimpleNamespace(is_alive=False)]},
            "warning",
            [("1 worker has stopped responding.", "/workers")],
        ),
    ],
)
def test_all_that_is_wrong_is_said_the_worst_first(given, level, sentences):
    health = health_of(replace(EMPTY, **given), PAGES)
    assert (health.level, [(each.sentence, each.url) for each in health.messages]) == (level, sentences)
    assert all(each.remedy for each in health.messages if health.level != "good")


@pytest.mark.parametrize(
    ("number", "is_capped", "sentence"),
    [(1, False, "1 job failed in the last hour."), (500, True, "500+ jobs failed in the last hour.")],
)
def test_more_failures_than_are_read(number, is_capped, sentence):
    failed = jobs.Count(number, is_capped=is_capped)
    assert health_of(replace(EMPTY, failed_recently=failed), PAGES).sentence == sentence


def test_failures_that_were_retried_are_no_trouble_any_more():
    rates = {("default", "emails"): jobs.QueueRates(failed_last_hour=2)}
    health = health_of(replace(EMPTY, rates=rates), PAGES)
    assert (health.level, health.sentence) == ("good", "No failed job of the last hour is left.")


def test_a_page_that_the_user_does_not_see_has_no_link():
    [message] = health_of(replace(EMPTY, **NO_WORKER), {}).messages
    assert message.url == ""
