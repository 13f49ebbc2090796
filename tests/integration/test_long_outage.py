"""A database that is away for longer than a lease, under workers that live: nothing runs twice, nothing is dropped."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction

from django_loco.core.job import SUCCESSFUL, Job, Outcome
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.tasks import task
from django_loco.worker.worker import Worker

from ..conftest import ON_POSTGRES

LEASE = 1.0
claimed_jobs: list[int] = []


@task
def long() -> None:
    claimed_jobs.append(1)
    time.sleep(4 * LEASE)


@pytest.fixture
def queue(transactional_db):
    claimed_jobs.clear()
    queue = DatabaseQueue("default", {})
    yield queue
    queue.clear()


def block_writers(seconds: float) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        if ON_POSTGRES:
            cursor.execute("LOCK TABLE django_loco_job IN ACCESS EXCLUSIVE MODE")
        time.sleep(seconds)


def test_a_worker_that_lives_does_not_take_its_own_jobs_for_those_of_a_dead_one(queue):
    worker = Worker(queue, threads=2, coroutines=0, lease=LEASE, result_ttl=60)
    [job] = queue.enqueue([Job(task_path=f"{__name__}.long", backend="default")])
    worker.start()
    while not claimed_jobs:
        time.sleep(0.01)
    block_writers(2 * LEASE)
    worker.drain()
    assert worker.join(10 * LEASE)
    stored = queue.get(job.id)
    assert (stored.status, stored.lost, len(claimed_jobs)) == (SUCCESSFUL, 0, 1)


def test_neither_does_another_worker_that_lived_through_the_same_outage(queue):
    workers = [Worker(queue, threads=1, coroutines=0, lease=LEASE, result_ttl=60) for _ in range(2)]
    queue.enqueue([Job(task_path=f"{__name__}.long", backend="default") for _ in range(2)])
    for worker in workers:
        worker.start()
    while len(claimed_jobs) < 2:
        time.sleep(0.01)
    block_writers(2 * LEASE)
    for worker in workers:
        worker.drain()
    assert all([worker.join(10 * LEASE) for worker in workers])
    assert len(claimed_jobs) == 2


@pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres")
@pytest.mark.parametrize("verb", ["enqueue", "fetch", "finish", "renew"])
def test_a_server_that_has_become_read_only_is_one_that_cannot_be_reached(queue, verb):
    """As a primary after a failover is. Its outcomes have to wait, and not to be dropped as unfit after five tries."""
    queue.enqueue([Job(task_path=f"{__name__}.long", backend="default")])
    [held] = queue.fetch(Claim(worker_id="w", lease=30, threads=1))
    calls = {
        "enqueue": lambda: queue.enqueue([Job(task_path="a.b", backend="default")]),
        "fetch": lambda: queue.fetch(Claim(worker_id="w", lease=30, threads=1)),
        "finish": lambda: queue.finish([Outcome(job=held, status=SUCCESSFUL)]),
        "renew": lambda: queue.renew([held], 30),
    }
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        with pytest.raises(QueueUnavailable):
            calls[verb]()
    finally:
        connection.close()


@pytest.fixture(autouse=True)
def _threads_end():
    before = threading.active_count()
    yield
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
