"""When a new job expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from django_loco.core.compat import InvalidTask
from django_loco.core.job import Job, utcnow
from django_loco.exceptions import LocoConfigurationError
from django_loco.tasks import task
from django_loco.tasks.enqueueing.new_job import due_at, new_job

HOUR = timedelta(hours=1)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@task
def send() -> None: ...


@task(expires=60)
def send_soon() -> None: ...


def made(task_: object, **options: object) -> Job:
    return new_job(task_.using(**options), "default", [], {})  # type: ignore[attr-defined]


def lifetime(job: Job) -> timedelta | None:
    return None if job.expires_at is None else job.expires_at - job.enqueued_at


def test_without_the_option_a_job_never_expires():
    assert made(send).expires_at is None


@pytest.mark.parametrize("given", [90, 90.0, timedelta(seconds=90)])
def test_a_duration_counts_from_the_call(given):
    job = made(send, expires=given)
    assert lifetime(job) == timedelta(seconds=90)
    assert job.options == {}


def test_a_moment_in_any_zone():
    assert made(send, expires=FAR).expires_at == FAR
    assert made(send, expires=FAR.astimezone(timezone(HOUR))).expires_at == FAR


def test_a_project_without_zones_gives_local_times(settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Etc/GMT-1"
    assert made(send, expires=datetime(2100, 1, 1, 1)).expires_at == FAR  # noqa: DTZ001 - as such a project has them


def test_the_call_is_stronger_than_the_setting_and_that_than_the_task(settings):
    path = send_soon.module_path
    assert lifetime(made(send_soon)) == timedelta(seconds=60)
    settings.LOCO = {**settings.LOCO, "TASKS": {path: {"expires": 30}}}
    assert lifetime(made(send_soon)) == timedelta(seconds=30)
    assert lifetime(made(send_soon, expires=10)) == timedelta(seconds=10)


@pytest.mark.parametrize("given", [0, -1, "soon", True, float("nan"), timedelta(0), -HOUR, timedelta.max, [1]])
def test_what_is_no_time_is_refused_at_once(given):
    with pytest.raises(InvalidTask, match=r"expires is .*; it must be seconds or a timedelta above 0"):
        send.using(expires=given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"expires": utcnow() - HOUR}, "and not after now"),
        ({"expires": 60, "run_after": HOUR}, "and not after run_after"),
        ({"expires": 3600, "run_after": HOUR}, "and not after run_after"),
        ({"expires": FAR, "run_after": FAR + HOUR}, "and not after run_after"),
        ({"expires": datetime.max.replace(tzinfo=UTC)}, "in the years 1970 to 9998"),
        ({"expires": datetime(2100, 1, 1)}, "it must be an aware datetime"),  # noqa: DTZ001 - the mistake
    ],
)
def test_a_job_that_could_never_run_is_refused(given, told):
    with pytest.raises(InvalidTask, match=told):
        made(send, **given)


def test_a_wrong_setting_is_named(settings):
    settings.LOCO = {**settings.LOCO, "TASKS": {send.module_path: {"expires": "soon"}}}
    with pytest.raises(LocoConfigurationError, match="expires is 'soon'"):
        made(send)


def test_the_job_of_a_tick_expires_so_long_after_the_tick():
    job = made(send, expires=60)
    late, early = due_at(job, job.enqueued_at - HOUR), due_at(job, job.enqueued_at + HOUR)
    assert (late.run_after, lifetime(late)) == (job.enqueued_at - HOUR, timedelta(seconds=60))
    assert (early.run_after, lifetime(early)) == (job.enqueued_at + HOUR, HOUR + timedelta(seconds=60))
    assert due_at(made(send), FAR).expires_at is None
