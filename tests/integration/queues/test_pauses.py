"""Pauses of tasks in a database: processes that die at the end of a pause, and those that do not know of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.core.job import Job
from django_loco.models import StoredJob, StoredJobPause
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.records import pauses
from django_loco.queues.records.pauses import JobPause

pytestmark = pytest.mark.django_db(transaction=True)
CLAIM = Claim(worker_id="w", lease=60, threads=100, coroutines=100)
PAUSE = JobPause("task", "a.b")


class Killed(BaseException):
    """The process has died."""


@pytest.fixture
def queue():
    return DatabaseQueue("default", {})


def store(queue, number=1):
    jobs = [Job(task_path="a.b", backend="default") for _ in range(number)]
    queue.enqueue(jobs)
    return [job.id for job in jobs]


def test_workers_go_on_when_the_process_that_ends_a_pause_dies(queue, monkeypatch):
    ids = store(queue, 5)
    queue.pause_jobs(PAUSE)

    def die(self, pause):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(DatabaseQueue, "_let_go", die)
        with pytest.raises(Killed):
            queue.resume_jobs(PAUSE)
    assert queue.paused_jobs() == set()
    worker = DatabaseQueue("default", {})
    assert [job.id for job in worker.fetch(CLAIM)] == ids


def test_a_process_that_does_not_know_of_a_pause_looks_within_a_second(queue, monkeypatch):
    worker = DatabaseQueue("default", {})
    assert worker.fetch(CLAIM) == []
    queue.pause_jobs(PAUSE)
    store(queue)
    now = pauses.time.monotonic()
    monkeypatch.setattr(pauses.time, "monotonic", lambda: now + pauses.POLL_SECONDS)
    assert worker.fetch(CLAIM) == []


def test_a_pause_that_has_ended_is_forgotten_after_a_while(queue, monkeypatch):
    queue.pause_jobs(PAUSE)
    queue.resume_jobs(PAUSE)
    assert StoredJobPause.objects.count() == 1
    monkeypatch.setattr(pauses, "REMEMBERED_SECONDS", -1.0)
    assert DatabaseQueue("default", {}).fetch(CLAIM) == []
    assert StoredJobPause.objects.count() == 0


def test_a_task_is_paused_again_after_the_end_of_a_pause(queue):
    [first] = store(queue)
    for _ in range(2):
        queue.pause_jobs(PAUSE)
        assert queue.fetch(CLAIM) == []
        queue.resume_jobs(PAUSE)
    assert [job.id for job in queue.fetch(CLAIM)] == [first]


@pytest.mark.parametrize("claim", [{"queues": ("B",)}, {"tags": ("t",)}, {"queues": ("B",), "tags": ("t",)}])
def test_paused_jobs_are_held_back_behind_older_jobs_of_a_queue_that_nobody_serves(queue, monkeypatch, claim):
    monkeypatch.setattr(pauses, "MOST_MOVED", 3)
    queue.enqueue([Job(task_path="a.other", backend="default", queue_name="A") for _ in range(4)])
    late = [Job(task_path="a.b", backend="default", queue_name="B", tags=("t",)) for _ in range(7)]
    queue.enqueue(late[:5])
    queue.pause_jobs(PAUSE)
    assert StoredJob.objects.filter(due_at__year=9999).count() == 5
    queue.enqueue(late[5:])
    assert queue.fetch(replace(CLAIM, **claim)) == []
    assert StoredJob.objects.filter(due_at__year=9999).count() == 7
    queue.resume_jobs(PAUSE)
    assert {job.id for job in queue.fetch(replace(CLAIM, **claim))} == {job.id for job in late}
