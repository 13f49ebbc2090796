"""Checkpoints and transactions; and a job that outlives workers and processes."""

from __future__ import annotations

import pytest
from django.db import transaction

from django_loco.core.compat import TaskResultStatus
from django_loco.queues import Claim, queue_for
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.context import JobContext
from tests.app import tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def context():
    tasks.add.enqueue(1, 2)
    queue = queue_for("default")
    [job] = queue.fetch(Claim(worker_id="w", lease=60, threads=1))
    result = tasks.add.get_result(job.id)
    return JobContext(task_result=result, claimed=ClaimedJob(job, update=queue.update))


def stored(context) -> str | None:
    job = queue_for("default").get(context.claimed.job.id)
    assert job.status == TaskResultStatus.RUNNING
    return job.checkpoint


def test_outside_of_transactions_it_is_stored_at_once(context):
    assert context.checkpoint(1)
    assert stored(context) == "1"


def test_inside_a_transaction_it_is_stored_after_the_commit(context):
    with transaction.atomic():
        assert context.checkpoint(1)
        # The job's row must not be locked meanwhile: the heartbeat of the worker writes it.
        assert stored(context) is None
        assert context.checkpoint_value is None
    assert (stored(context), context.checkpoint_value) == ("1", 1)


def test_a_rollback_takes_it_back(context):
    context.checkpoint(1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        context.checkpoint(2)
        1 / 0  # noqa: B018
    assert (stored(context), context.checkpoint_value) == ("1", 1)
