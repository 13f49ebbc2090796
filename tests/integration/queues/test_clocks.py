"""A clock that was put back delays no job that is to be run at once, and lets none run before its time."""

import time
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction

from django_loco.core.job import READY, Job, Outcome, first_id, new_id, utcnow
from django_loco.models import StoredJob
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)
CLAIM = Claim(worker_id="w", lease=60, threads=5, coroutines=5)


@pytest.fixture
def queue():
    return DatabaseQueue("default", {})


def of_the_future(queue, count=1, **given):
    """Store jobs as they are when the clock is put back by an hour after their enqueue."""
    then = utcnow() + HOUR
    jobs = [
        Job(**{"task_path": "a.b", "backend": "default", "id": f"{first_id(then)[:12]}{new_id()[12:]}"} | given)
        for _ in range(count)
    ]
    queue.enqueue(jobs)
    StoredJob.objects.filter(id__in=[job.id for job in jobs]).update(due_at=then)
    return jobs


def ids(jobs):
    return {job.id for job in jobs}


def test_the_first_id_of_a_moment_is_below_those_made_then():
    before = utcnow()
    assert first_id(before) < new_id() < first_id(utcnow() + timedelta(milliseconds=1))
    UUID(first_id(before))


def test_a_job_to_be_run_at_once_is_due_though_the_clock_was_put_back(queue):
    [job] = of_the_future(queue)
    assert ids(queue.fetch(CLAIM)) == {job.id}


def test_so_are_sync_and_async_ones_in_the_room_that_is_left(queue):
    [normal] = queue.enqueue([Job(task_path="a.b", backend="default")])
    ahead, asynchronous = of_the_future(queue, 9), of_the_future(queue, 9, is_async=True)
    found = queue.fetch(CLAIM)
    assert len(found) == 10
    assert sum(job.is_async for job in found) == 5
    assert normal.id in ids(found)
    assert ids(found) < {normal.id} | ids(ahead) | ids(asynchronous)


def test_a_job_that_was_put_off_waits_on(queue):
    later = utcnow() + 2 * HOUR
    of_the_future(queue, run_after=later)
    queue.enqueue([Job(task_path="a.b", backend="default", run_after=utcnow() + HOUR)])
    assert queue.fetch(CLAIM) == []


def test_others_of_the_table_are_left_alone(queue):
    of_the_future(queue, backend="other")
    assert queue.fetch(CLAIM) == []
    assert StoredJob.objects.get().due_at > utcnow() + HOUR / 2


def test_it_is_looked_for_now_and_then_and_never_by_a_worker_that_is_full(queue, monkeypatch):
    of_the_future(queue, 3)
    queue.enqueue([Job(task_path="a.b", backend="default") for _ in range(5)])
    full = replace(CLAIM, coroutines=0)
    assert len(queue.fetch(full)) == 5
    assert StoredJob.objects.filter(due_at__gt=utcnow() + HOUR / 2).count() == 3
    assert len(queue.fetch(full)) == 3
    of_the_future(queue)
    assert queue.fetch(full) == []
    queue._dialect._next_look = 0
    assert len(queue.fetch(full)) == 1


def test_a_job_that_is_handed_back_after_the_clock_was_put_back_is_due(queue):
    queue.enqueue([Job(task_path="a.b", backend="default")])
    [held] = queue.fetch(CLAIM)
    StoredJob.objects.update(due_at=utcnow() + HOUR)
    queue.finish([Outcome.released(held)])
    assert StoredJob.objects.get().status == READY
    assert ids(queue.fetch(CLAIM)) == {held.id}


def test_a_rescue_during_which_the_clock_leaps_frees_nothing(queue, monkeypatch):
    queue.enqueue([Job(task_path="a.b", backend="default")])
    queue.fetch(replace(CLAIM, lease=-1))
    times = iter([1_000.0, 4_600.0])
    monkeypatch.setattr("django_loco.queues.database.jobs.rescuing.time.time", lambda: next(times))
    assert queue.rescue() == []
    monkeypatch.undo()
    assert len(queue.rescue()) == 1


def test_a_leap_between_a_look_at_the_clock_and_the_rescue_is_noticed(queue, monkeypatch):
    queue.enqueue([Job(task_path="a.b", backend="default")])
    queue.fetch(replace(CLAIM, lease=-1))
    queue.clock()
    clock = time.time
    monkeypatch.setattr("django_loco.queues.database.jobs.rescuing.time.time", lambda: clock() + 3_600)
    assert queue.rescue() == []
    queue.clock()
    assert len(queue.rescue()) == 1


def test_a_rescue_that_reads_for_long_frees_what_it_has_found(queue, monkeypatch):
    """Many large jobs, or a slow network: were it to give up, it would read the same ones again for ever."""
    queue.enqueue([Job(task_path="a.b", backend="default")])
    queue.fetch(replace(CLAIM, lease=-1))
    passed = 0.0
    clock, monotonic, expired = time.time, time.monotonic, queue._dialect.expired

    def slowly(limit):
        nonlocal passed
        rows = expired(limit)
        passed += 10
        return rows

    monkeypatch.setattr(queue._dialect, "expired", slowly)
    monkeypatch.setattr("django_loco.queues.database.jobs.rescuing.time.time", lambda: clock() + passed)
    monkeypatch.setattr("django_loco.queues.database.jobs.rescuing.time.monotonic", lambda: monotonic() + passed)
    assert len(queue.rescue()) == 1


def test_a_rescue_that_waited_for_its_turn_leaves_it_to_live_workers(queue, monkeypatch):
    queue.enqueue([Job(task_path="a.b", backend="default")])
    queue.fetch(replace(CLAIM, lease=-1))
    passed = 0.0
    clock, monotonic, atomic = time.time, time.monotonic, transaction.atomic

    def later(**given):
        nonlocal passed
        passed += 10
        return atomic(**given)

    monkeypatch.setattr("django_loco.queues.database.jobs.rescuing.atomic", later)
    monkeypatch.setattr("django_loco.queues.database.jobs.rescuing.time.time", lambda: clock() + passed)
    monkeypatch.setattr("django_loco.queues.database.jobs.rescuing.time.monotonic", lambda: monotonic() + passed)
    assert queue.rescue() == []
    monkeypatch.undo()
    assert len(queue.rescue()) == 1
