"""A database server that drops its connections, again and again, under a worker on its queue."""

from __future__ import annotations

import time

import pytest
from django.db import connection

from django_loco.core.job import FAILED, SUCCESSFUL
from django_loco.queues.database import DatabaseQueue
from django_loco.worker import backoff

from ...conftest import ON_POSTGRES
from .conftest import job

pytestmark = pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres")

TERMINATE_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def queue(transactional_db):
    queue = DatabaseQueue("default", {})
    yield queue
    queue.clear()


def test_it_stops_nothing_for_good(queue, start, monkeypatch, caplog):
    monkeypatch.setattr(backoff, "MAX_DELAY_SECONDS", 0.2)
    worker = start(threads=4, lease=2)
    jobs = queue.enqueue([job("count") for _ in range(400)])
    deadline = time.monotonic() + 30
    done = 0
    while any((stored := queue.get(one.id)) is None or not stored.finished_at for one in jobs):
        assert time.monotonic() < deadline
        if worker.health()["done"] > done:  # it makes progress between two blows
            done = worker.health()["done"] + 20
            with connection.cursor() as cursor:
                cursor.execute(TERMINATE_OTHERS)
        time.sleep(0.01)
    # A job's own query may have been cut off, and then it has failed; but every one has come to an end.
    states = {stored.status for one in jobs if (stored := queue.get(one.id))}
    assert states <= {SUCCESSFUL, FAILED}
    assert worker.is_alive
    assert "again, after" in caplog.text or "for now" in caplog.text
    [last] = queue.enqueue([job("count")])
    while (stored := queue.get(last.id)) is None or stored.status != SUCCESSFUL:
        assert time.monotonic() < deadline
        time.sleep(0.01)
