"""Until when jobs are kept, and what a task may say about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from django_loco.conf import problems
from django_loco.core.compat import InvalidTask
from django_loco.core.job import FAILED, FOREVER, RETENTION, SUCCESSFUL, Job, Outcome, error_of
from django_loco.core.job.retention import kept_until
from django_loco.core.validation import retention_by_end
from django_loco.exceptions import Discard, JobCancelled, JobExpired, LostJob
from django_loco.tasks import task
from django_loco.tasks.enqueueing.new_job import new_job

ENDED = datetime(2026, 11, 28, tzinfo=UTC)
HOUR = timedelta(hours=1)


@task
def plain() -> None: ...


@task(retention="7d")
def weekly() -> None: ...


def ended(retention: Any, error: type[Exception] | None = None, **given: Any) -> Job:
    job = Job(task_path="a.b", backend="default", options={RETENTION: retention}, **given)
    status = SUCCESSFUL if error is None else FAILED
    return Outcome(job=job, status=status, at=ENDED, error=error_of(error, "so") if error else None).applied()


@pytest.mark.parametrize(
    ("value", "by_end"),
    [
        (3600, {"succeeded": 3600.0, "failed": 3600.0, "cancelled": 3600.0}),
        (timedelta(minutes=2), {"succeeded": 120.0, "failed": 120.0, "cancelled": 120.0}),
        ("1d12h", {"succeeded": 129_600.0, "failed": 129_600.0, "cancelled": 129_600.0}),
        ("forever", {"succeeded": "forever", "failed": "forever", "cancelled": "forever"}),
        ({"succeeded": 0, "failed": "30d"}, {"succeeded": 0.0, "failed": 2_592_000.0}),
        ({"cancelled": "forever"}, {"cancelled": "forever"}),
    ],
)
def test_what_a_task_may_say(value, by_end):
    assert retention_by_end(value) == by_end
    job = new_job(plain.using(retention=value), "default", [], {})
    assert job.options == {RETENTION: by_end}
    assert job.overrides == {}
    assert retention_by_end(job.options[RETENTION]) == by_end


@pytest.mark.parametrize(
    "value",
    [
        *(-1, float("nan"), float("inf"), True, 1e15, timedelta(-1), "", "7", "7 days", "none", "-1d", "9" * 12 + "w"),
        *({}, {"done": "1h"}, {"succeeded": None}, {"succeeded": {}}, ["1h"], ENDED, b"1h"),
    ],
)
def test_anything_else_is_refused_with_the_choices(value):
    with pytest.raises(
        InvalidTask, match=r'retention is .*; it must be seconds, .* "forever", or a dict .*"cancelled"'
    ):
        plain.using(retention=value)
    with override_settings(LOCO={"TASKS": {"a.b": {"retention": value}}}):
        [problem] = problems()
    assert problem.startswith("LOCO['TASKS']['a.b']: retention is ")


def test_a_task_without_it_stores_nothing():
    assert new_job(plain, "default", [], {}).options == {}


def test_using_is_stronger_than_the_setting_and_the_setting_than_the_task():
    path = weekly.module_path
    assert new_job(weekly, "default", [], {}).options[RETENTION]["failed"] == 7 * 86_400
    with override_settings(LOCO={"TASKS": {path: {"retention": {"failed": "1h"}}}}):
        assert new_job(weekly, "default", [], {}).options == {RETENTION: {"failed": 3600.0}}
        assert new_job(weekly.using(retention=60), "default", [], {}).options[RETENTION]["failed"] == 60.0


@pytest.mark.parametrize(
    ("error", "hours"), [(None, 2), (ValueError, 3), (LostJob, 3), (JobCancelled, 4), (Discard, 4), (JobExpired, 4)]
)
def test_each_end_has_its_time(error, hours):
    retention = {"succeeded": 7200.0, "failed": 3 * 3600.0, "cancelled": 4 * 3600.0}
    assert kept_until(ended(retention, error)) == ENDED + hours * HOUR


def test_jobs_that_nothing_is_said_about():
    assert kept_until(ended({"failed": 60.0})) is None
    assert kept_until(replace(ended({"succeeded": 60.0}), options={})) is None
    assert kept_until(replace(ended({"succeeded": 60.0}), finished_at=None)) is None


def test_a_job_is_kept_as_long_as_others_may_need_it():
    none = {"succeeded": 0.0}
    assert kept_until(ended(none)) == ENDED + timedelta(minutes=1)
    assert kept_until(ended(none, key="nightly@1")) == ENDED + HOUR
    until = ENDED + 2 * HOUR
    unique = {"unique_key": "k", "unique_until": until.isoformat(" ", "microseconds")}
    assert kept_until(ended(none, **unique)) == until
    assert kept_until(ended({"succeeded": 86_400.0}, **unique)) == ENDED + 24 * HOUR
    assert kept_until(ended(none, unique_key="k", unique_until="finished")) == ENDED + timedelta(minutes=1)


def test_for_ever():
    assert kept_until(ended({"succeeded": "forever"})) == FOREVER
    late = replace(ended({"succeeded": 3e9}), finished_at=datetime(9990, 1, 1, tzinfo=UTC))
    assert kept_until(late) == FOREVER


@pytest.mark.parametrize("odd", [7, "x", [], None, {"succeeded": "1h"}, {"succeeded": -1}, {"succeeded": [1]}])
def test_what_somebody_has_edited_says_nothing(odd):
    assert kept_until(ended(odd)) is None


@pytest.mark.parametrize(("ttl", "kept"), [(5, ENDED + HOUR), (86_400, None)])
def test_a_job_with_a_once_key_is_kept_for_an_hour_if_the_ttl_is_shorter(ttl: int, kept: datetime | None) -> None:
    with override_settings(LOCO={"RESULT_TTL": ttl}):
        assert kept_until(ended(None, key="nightly@1")) == kept_until(ended({"failed": 7.0}, key="nightly@1")) == kept
        assert kept_until(ended(None)) is None
