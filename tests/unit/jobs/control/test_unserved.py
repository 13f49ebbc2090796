"""Which queues no worker serves."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.jobs.control.unserved import unserved


def worker(**given):
    fields = {"backend": "default", "worker_id": "w", "host": "h", "pid": 1, "queues": ("default",), "tags": None}
    fields |= {"threads": 1, "coroutines": 1, "lease": 30.0, "started_at": utcnow()}
    return jobs.AliasWorker(**fields | given)


@pytest.mark.parametrize(
    ("fields", "is_left"),
    [
        ({}, False),
        ({"queues": None}, False),
        ({"queues": ("emails",)}, True),
        ({"backend": "other"}, True),
        ({"state": "quiet"}, True),
        ({"heartbeat_age": 31.0}, True),
    ],
)
def test_a_queue_is_served_by_a_worker_of_its_alias_that_takes_jobs(stored, fields, is_left):
    stored()
    found = unserved(jobs.stats(backend="default"), [worker(**fields)])
    assert [each.queue for each in found] == (["default"] if is_left else [])


def test_neither_empty_nor_paused_queues_wait_in_vain(stored):
    stored()
    stored(queue_name="emails")
    jobs.pause(queue="emails")
    assert [each.queue for each in unserved(jobs.stats(), [])] == ["default"]
