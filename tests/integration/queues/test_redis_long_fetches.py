"""Fetches that would keep a Redis busy for long stop, and say that there is more to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.core.job import Job
from django_loco.core.job.limits import Limit
from django_loco.queues import Claim
from django_loco.queues.records.pauses import MOST_MOVED, JobPause
from django_loco.queues.redis import RedisQueue

CLAIM = Claim(worker_id="w", lease=60, threads=10, coroutines=0)
#: More than one fetch moves.
MANY = 3 * MOST_MOVED


@pytest.fixture
def queue(redis_server):
    queue = RedisQueue("default", {"url": redis_server.url})
    queue.clear()
    yield queue
    queue.clear()
    queue.close()


def fetches_until_found(queue, claim, other):
    """Fetch as a worker that waits after each fetch in vain; return how many fetches it takes."""
    for number in range(1, 20):
        if jobs := queue.fetch(claim):
            assert [job.id for job in jobs] == [other.id]
            return number
        assert queue.wait(0), "the worker would sleep"
    raise AssertionError("the job was not found")


def test_a_worker_goes_on_at_once_behind_many_paused_jobs(queue):
    queue.enqueue([Job(task_path="shop.paused", backend="default") for _ in range(MANY)])
    queue.pause_jobs(JobPause("task", "shop.paused"))
    queue.enqueue([Job(task_path="shop.paused", backend="default") for _ in range(MANY)])
    [other] = queue.enqueue([Job(task_path="shop.other", backend="default")])
    assert fetches_until_found(queue, CLAIM, other) > 1
    queue.fetch(CLAIM)
    assert not queue.wait(0)


def test_a_worker_goes_on_at_once_behind_many_closed_keys(queue):
    claim = replace(CLAIM, limits={"steady": Limit(rate="1/d"), "wide": Limit(concurrency=9)})
    queue.enqueue([Job(task_path="shop.send", backend="default", limit_key="steady")])
    assert len(queue.fetch(claim)) == 1
    jobs = [Job(task_path="shop.send", backend="default", limit_key=f"steady wide:{key}") for key in range(MANY)]
    queue.enqueue(jobs)
    [other] = queue.enqueue([Job(task_path="shop.send", backend="default", limit_key="wide")])
    assert fetches_until_found(queue, claim, other) > 1
    queue.fetch(claim)
    assert not queue.wait(0)
