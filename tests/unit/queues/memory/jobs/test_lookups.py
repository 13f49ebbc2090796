"""How jobs in memory are looked up."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django_loco.core.job import READY, Job, utcnow
from django_loco.queues.memory import MemoryQueue


def queue_with(*jobs):
    queue = MemoryQueue("default", {})
    queue.enqueue(jobs)
    return queue


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def test_a_job_is_found_by_any_form_of_its_id():
    stored = job()
    queue = queue_with(stored)
    assert queue.get(stored.id) == queue.get(str(UUID(stored.id))) == stored
    assert queue.get("no id") is None


def test_no_count_is_higher_than_the_limit():
    queue = queue_with(*[job(queue_name="mail") for _ in range(3)], job())
    assert queue.counts() == {("mail", READY): 3, ("default", READY): 1}
    assert queue.counts(2) == {("mail", READY): 2, ("default", READY): 1}


def test_a_deferred_job_that_has_become_due_counts_as_due():
    past = utcnow() - timedelta(minutes=5)
    queue = queue_with(job(run_after=utcnow() + timedelta(hours=1)))
    assert queue.oldest_due() is None
    queue.enqueue([job(run_after=past)])
    assert queue.oldest_due() == past


def test_limited_jobs_are_looked_up_by_themselves():
    queue = queue_with(job(limit_key="api:"))
    assert queue.oldest_due() is None
    assert queue.oldest_limited() is not None
