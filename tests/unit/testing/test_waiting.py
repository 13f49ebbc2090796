"""Which jobs ``drain`` takes, and in which order."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from django.test import SimpleTestCase, override_settings

from django_loco.exceptions import QueueFull
from django_loco.queues import queue_for
from django_loco.testing import all_enqueued
from django_loco.testing.waiting import Selection, claimed

from . import tasks


def taken(selection: Selection) -> list[str]:
    with closing(claimed(selection)) as jobs:
        return [job.task_path.rpartition(".")[2] for _, job in jobs]


def everything() -> Selection:
    return Selection(None, is_scheduled=False, is_recursive=True)


@pytest.fixture
def foreign():
    """A sync job of no test, which is the first of its kind."""
    job = tasks.fail.get_backend().job_of(tasks.fail.using(priority=9), ["not mine"], {})
    queue_for("default").enqueue([job])
    return job


def test_other_jobs_do_not_change_the_order(foreign):
    tasks.send.enqueue(1)
    tasks.asend.enqueue(2)
    tasks.send.using(priority=1).enqueue(3)
    assert taken(everything()) == ["send", "send", "asend"]


def test_other_jobs_wait_again(foreign):
    tasks.asend.enqueue(2)
    taken(everything())
    after = queue_for("default").get(foreign.id)
    assert (after.status, after.attempt, after.errors) == ("READY", 1, ())


def test_a_job_that_is_not_run_first_waits_meanwhile():
    tasks.asend.enqueue(1)
    tasks.send.enqueue(2)
    with closing(claimed(everything())) as jobs:
        next(jobs)
        assert [result.task.name for result in all_enqueued()] == ["send"]


def test_without_jobs_that_can_be_had_it_ends():
    tasks.send.enqueue(1)
    with closing(claimed(everything())) as jobs:
        next(jobs)
        assert taken(everything()) == []


def test_later_jobs_keep_their_time():
    tasks.send.using(run_after=timedelta(hours=1), priority=9).enqueue(1)
    tasks.send.using(run_after=timedelta(hours=2)).enqueue(2)
    tasks.asend.using(queue_name="emails", run_after=timedelta(hours=3)).enqueue(3)
    before = [result.task.run_after for result in all_enqueued()]
    assert taken(Selection("emails", is_scheduled=True, is_recursive=True)) == ["asend"]
    assert [result.task.run_after for result in all_enqueued()] == before[:2]
    assert taken(everything()) == []


def test_jobs_in_memory_outlast_an_override_of_settings(settings):
    tasks.send.enqueue(1)
    with override_settings(TASKS={"default": {**settings.TASKS["default"], "QUEUES": ["default", "emails", "mail"]}}):
        assert [result.args for result in all_enqueued()] == [[1]]
        tasks.send.using(queue_name="mail").enqueue(2)
        with override_settings(TASKS={**settings.TASKS, "other": {**settings.TASKS["default"], "QUEUES": ["x"]}}):
            tasks.send.using(backend="other", queue_name="x").enqueue(3)
    assert [result.args for result in all_enqueued()] == [[1], [2]]


def test_other_options_of_a_queue_make_another_one(settings):
    tasks.send.enqueue(1)
    default = settings.TASKS["default"]
    with override_settings(TASKS={"default": {**default, "OPTIONS": {**default["OPTIONS"], "max_waiting": 1}}}):
        assert all_enqueued() == []
        tasks.send.enqueue(2)
        with pytest.raises(QueueFull):
            tasks.send.enqueue(3)
    assert [result.args for result in all_enqueued()] == [[1]]


def test_the_next_test_has_none_of_them(settings):
    tasks.send.enqueue(1)
    SimpleTestCase._pre_setup()
    with override_settings(TASKS=dict(settings.TASKS)):
        assert queue_for("default").counts() == {}
