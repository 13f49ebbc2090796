"""How many jobs failed in the last hour and still have to be looked at."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_loco import jobs
from django_loco.core.job import FAILED, Job, new_id, utcnow
from django_loco.dashboard.pages.overview import facts
from django_loco.queues import queue_for

NOW = utcnow()
LATELY, EARLIER = NOW - timedelta(minutes=30), NOW - timedelta(minutes=61)


@pytest.mark.parametrize(
    ("ended", "by_minutes", "number"),
    [
        ([LATELY] * 2, 0, "2"),  # the statistics do not have them yet
        ([LATELY] * 2 + [EARLIER], 9, "2"),  # the others were retried
        ([EARLIER, EARLIER], 9, "0"),
        ([LATELY] * 4, 0, "3+"),  # more than are shown
        ([LATELY] * 4, 9, "4"),
        ([EARLIER] + [LATELY] * 7, 9, "5+"),  # more than are read
        ([EARLIER] * 7 + [LATELY], 9, "1"),
        ([EARLIER] * 7, 9, "9"),
    ],
)
def test_failures_of_the_last_hour(monkeypatch, settings, ended, by_minutes, number):
    """The first ones in ``ended`` are the oldest jobs."""
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "memory"}}}
    monkeypatch.setattr(facts, "FAILURES", 3)
    monkeypatch.setattr(facts, "WINDOW", 5)
    made = [
        Job(id=new_id(), task_path="a.b", backend="default", arguments="[[], {}]", status=FAILED, finished_at=at)
        for at in ended
    ]
    queue_for("default").restore(made)
    shown, found = facts.failures_in(jobs.filter("status:failed", window=5), NOW, by_minutes)
    assert found.text == number
    assert [job.id for job in shown] == [job.id for job in reversed(made)][:3]
