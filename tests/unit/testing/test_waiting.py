"""Which jobs ``drain`` takes, and in which order."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

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
