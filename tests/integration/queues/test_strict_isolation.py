"""Transactions of PostgreSQL that conflict with others, in projects whose isolation level is ``SERIALIZABLE``."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from django_loco.core.compat import task_enqueued
from django_loco.core.job import SUCCESSFUL, Job, Outcome
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim, queue_for
from django_loco.tasks import Workflow, batch
from tests.app import tasks

from ...conftest import ON_POSTGRES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres"),
]
CONFLICT = "DO $$ BEGIN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END $$"


@pytest.fixture(autouse=True)
def _serializable(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    options = connection.settings_dict["OPTIONS"]
    options["options"] = "-c default_transaction_isolation=serializable"
    connection.close()
    yield
    options.clear()
    connection.close()


@pytest.fixture
def queue():
    return queue_for("default")


def in_two_threads(act, times):
    """Call ``act`` so many times in each of two threads; return what the calls returned."""

    def several():
        try:
            return [act() for _ in range(times)]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        return [each for future in [pool.submit(several), pool.submit(several)] for each in future.result()]


def test_workflows_that_are_enqueued_at_once_are_stored_and_announced_once(queue):
    announced = Counter()

    def note(task_result, **kwargs):
        announced[task_result.id] += 1

    def enqueue():
        flow = Workflow()
        flow.add(tasks.add, 3, 4, name="second", after=flow.add(tasks.add, 1, 2, name="first"))
        return flow.enqueue()

    task_enqueued.connect(note)
    try:
        flows = in_two_threads(enqueue, 15)
    finally:
        task_enqueued.disconnect(note)
    assert {queue.get_batch(flow.id).counts.left for flow in flows} == {2}
    assert set(announced.values()) == {1}
    assert len(announced) == 60


def test_batches_that_are_settled_at_once_finish_once(queue):
    for _ in range(10):
        with batch() as each:
            each.enqueue(tasks.add, 1, 2)
    held = queue.fetch(Claim(worker_id="w", lease=30, threads=100))

    def end_one():
        job = held.pop()
        queue.finish([Outcome(job=job, status=SUCCESSFUL, return_value="1")])
        return [found.id for found in queue.settle_batches() if queue.note_called(found)]

    finished = [each for several in in_two_threads(end_one, 5) for each in several]
    finished += [each.id for each in queue.settle_batches() if queue.note_called(each)]
    assert len(finished) == len({*finished}) == 10


def failing(queue, times):
    """Return a function that stores a job, after which its first ``times`` calls are in conflict with others."""
    levels = []

    def act():
        levels.extend(queue._run("SHOW transaction_isolation")[0])
        queue.enqueue([Job(task_path="a.b", backend="default")])
        if len(levels) <= times:
            queue._dialect.execute(CONFLICT)
        return levels

    return act


def test_a_transaction_of_the_queue_is_run_again_after_a_conflict(queue):
    assert queue.together(failing(queue, 2)) == ["serializable", "read committed", "read committed"]
    assert len(queue.list()) == 1


def test_a_transaction_of_the_caller_is_not_run_again(queue):
    act = failing(queue, 1)
    with pytest.raises(QueueUnavailable, match="in favour of others: run it again"), transaction.atomic():
        queue.enqueue([Job(task_path="a.b", backend="default")])
        queue._run(CONFLICT)
    with transaction.atomic(), pytest.raises(QueueUnavailable):
        queue.together(act)
    assert len(queue.list()) == 0
    assert act() == ["serializable", "serializable"]


def test_a_conflict_that_does_not_end_is_told_with_the_remedy(queue, monkeypatch):
    monkeypatch.setattr("django_loco.queues.database.postgres.session.CONFLICT_PAUSE_SECONDS", 0)
    with pytest.raises(QueueUnavailable, match="in favour of others: run it again"):
        queue.together(failing(queue, 100))
    assert len(queue.list()) == 0
