"""How far a job is, as people see it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from django_loco import jobs
from django_loco.core.compat import TaskResultStatus
from django_loco.core.job import FAILED, RUNNING, SUCCESSFUL, Job, utcnow
from django_loco.core.job.progress import text_of_progress
from django_loco.jobs.presentation.progress import JobProgress, progress_of
from django_loco.log.plain_text import one_line
from tests.unit.jobs.conftest import make_job

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def job(text: str | None, status: TaskResultStatus = RUNNING) -> Job:
    return replace(make_job(), progress=text, status=status)


def read(done: float, total: float | None = None, note: str = "", status: TaskResultStatus = RUNNING) -> JobProgress:
    progress = progress_of(job(text_of_progress(done, total, note), status))
    assert progress is not None
    return progress


@pytest.mark.parametrize(
    ("done", "total", "percent"),
    [
        (0, 10, 0.0),
        (2.5, 10, 25.0),
        (11, 10, 100.0),
        (5, 0, 100.0),
        (0, 0, 100.0),
        (5, None, None),
        (-5, 10, 0.0),
        (5, -1, 100.0),
        (math.nan, 10, 0.0),
        (5, math.nan, None),
        (5, math.inf, None),
        (10**400, 10**500, 100.0),
    ],
)
def test_numbers_of_all_kinds(done, total, percent):
    assert read(done, total).percent == percent


def test_a_job_that_has_succeeded_is_through_and_one_that_has_failed_stays_where_it_was():
    assert [read(9, 10, status=status).percent for status in (SUCCESSFUL, FAILED)] == [100.0, 90.0]
    assert read(9, status=SUCCESSFUL).percent == 100.0


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (JobProgress(1200, 5000, "products", NOW), "1,200 of 5,000 (24 %): products"),
        (JobProgress(4999, 5000, "", NOW), "4,999 of 5,000 (99 %)"),
        (JobProgress(7, None, "", NOW), "7"),
        (JobProgress(7, None, "a\nb\x1b[31m", NOW), f"7: {one_line('a' + chr(10) + 'b' + chr(27) + '[31m')}"),
        (JobProgress(7, None, "rows", NOW, has_succeeded=True), "7 (100 %): rows"),
    ],
)
def test_the_text_for_people(progress, text):
    assert str(progress) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "1", "null", "{}", '{"done":1,"total":2,"note":""}', '{"done":"x","total":2,"note":"","at":"x"}'),
        '{"done":"x","total":2,"note":"","at":"2026-05-01T00:00:00+00:00"}',
        '{"done":1,"total":2,"note":"","at":"2026-05-01T00:00:00"}',
    ],
)
def test_what_somebody_has_edited_is_no_progress(text):
    assert progress_of(job(text)) is None
    assert jobs.shown_job(job(text), utcnow())["progress"] is None


def test_a_job_that_has_said_nothing():
    assert progress_of(job(None)) is None


def test_it_is_shown_with_the_job():
    shown = jobs.shown_job(job(text_of_progress(1, 4, "rows")), utcnow())["progress"]
    assert json.loads(json.dumps(shown)) == shown
    assert {**shown, "at": ""} == {"done": 1, "total": 4, "percent": 25.0, "note": "rows", "at": ""}
