"""Moving and changing jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.exceptions import InvalidArguments, InvalidState
from django_loco.jobs.signing import is_genuine, signed
from tests.app.tasks import add, send
from tests.unit.jobs.conftest import found, make_job

ADD = add.module_path


def test_a_job_moves_to_another_queue(queue, stored):
    job = stored("failed")
    assert jobs.move(job.id, queue="emails") == 1
    assert found(queue, job) == replace(job, queue_name="emails")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "emials",
            r"TASKS\['default'\] has no queue 'emials'\. Did you mean 'emails'\?.*\['QUEUES'\]",
        ),
        ("", "queue is ''; it must be text of 1 to 200 printable characters"),
        (None, "queue is None; it must be text"),
    ],
)
def test_a_queue_that_there_is_not(stored, queue, name, message):
    job = stored()
    with pytest.raises(ValueError, match=message):
        jobs.move(job.id, queue=name)
    assert found(queue, job) == job


def test_an_alias_without_a_list_has_any_queue(stored):
    job = stored(backend="other")
    assert jobs.move(job, queue="anything") == 1
    assert jobs.get(job).queue_name == "anything"


def test_fields_are_changed_and_others_stay(queue, stored):
    job = stored("waiting", 1, 2, task=ADD)
    at = datetime(2027, 1, 1, tzinfo=UTC)
    assert jobs.update(job, priority=-5, run_after=at, args=[3, 4], tags=["a", "b"]) == 1
    assert found(queue, job) == replace(job, priority=-5, run_after=at, arguments="[[3,4],{}]", tags=("a", "b"))
    assert jobs.update(job, args=[3], kwargs={"b": 4}, tags=()) == 1
    assert (found(queue, job).arguments, found(queue, job).tags) == ('[[3],{"b":4}]', ())
    assert jobs.update(job, kwargs={"b": 5}) == 1
    assert found(queue, job).arguments == '[[3],{"b":5}]'


def test_a_duration_counts_from_now(queue, stored):
    job = stored("scheduled")
    before = utcnow()
    jobs.update(job, run_after=timedelta(hours=2), expires=timedelta(hours=3))
    assert before <= found(queue, job).run_after - timedelta(hours=2) <= utcnow()
    assert before <= found(queue, job).expires_at - timedelta(hours=3) <= utcnow()


def test_a_naive_time_is_in_the_zone_of_the_project(queue, stored, settings):
    settings.TIME_ZONE = "America/New_York"
    job = stored()
    jobs.update(job, run_after=datetime(2027, 1, 1, 12))  # noqa: DTZ001 - as a project without zones has them
    assert found(queue, job).run_after == datetime(2027, 1, 1, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"update\(\) needs something to change"),
        ({"priority": 101}, "priority is 101; it must be a whole number from -100 to 100"),
        ({"priority": 1.5}, "priority is 1.5; it must be a whole number"),
        ({"tags": "abc"}, "tags is 'abc'; it must be a list of at most 100 words"),
        ({"tags": ["a\n"]}, "it must be a list of at most 100 words"),
        ({"args": "abc"}, "args is 'abc'; it must be a list"),
        ({"kwargs": [1]}, r"kwargs is \[1\]; it must be a dict"),
        ({"run_after": "soon"}, "run_after is 'soon'; it must be a datetime or a timedelta"),
        ({"expires": "soon"}, "expires is 'soon'; it must be a datetime or a timedelta"),
        ({"run_after": timedelta.max}, "in the years 1970 to 9998"),
        ({"run_after": datetime(1900, 1, 1, tzinfo=UTC)}, "in the years 1970 to 9998"),
    ],
)
def test_values_that_no_store_could_keep(stored, queue, changes, message):
    job = stored()
    with pytest.raises(ValueError, match=message):
        jobs.update(job, **changes)
    assert found(queue, job) == job


def test_arguments_have_to_fit_the_task(stored, queue):
    job = stored("waiting", 1, 2, task=ADD)
    with pytest.raises(InvalidArguments, match=r"do not fit .*add\(a: .*missing a required argument: 'b'"):
        jobs.update(job, args=[1])
    with pytest.raises(InvalidArguments, match="cannot be stored as JSON"):
        jobs.update(job, args=[1, {2}])
    assert found(queue, job) == job


def test_arguments_of_a_task_that_is_not_here_are_not_compared_with_it(stored, queue):
    job = stored(task="shop.tasks.gone")
    assert jobs.update(job, kwargs={"anything": 1}) == 1
    assert found(queue, job).arguments == '[[],{"anything":1}]'


@pytest.mark.parametrize("state", ["running", "done"])
def test_jobs_that_run_or_are_done_stay_as_they_are(stored, state):
    with pytest.raises(InvalidState, match=f"is {state}, so it cannot be updated"):
        jobs.update(stored(state), priority=1)


def test_a_changed_job_is_signed_anew(stored, queue, settings):
    settings.LOCO = {"TESTING": "live", "SIGN": True}
    result = send.enqueue(1)
    assert is_genuine(jobs.get(result))
    jobs.update(result, args=[2])
    jobs.move(result, queue="default")
    assert is_genuine(jobs.get(result))
    assert jobs.get(result).arguments == "[[2],{}]"


def test_a_forged_job_stays_one(stored, queue, settings):
    settings.LOCO = {"TESTING": "live", "SIGN": True}
    forged = [make_job(1), replace(signed(make_job(1)), arguments="[[2],{}]")]
    queue.enqueue(forged)
    for job in forged:
        assert jobs.move(job, queue="emails") == 1
        assert not is_genuine(found(queue, job))
