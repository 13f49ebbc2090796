"""A PostgreSQL, or a pooler before it, that cuts connections on which nobody has asked anything for a while."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from django.db import connection, transaction

from django_loco.core.job import Job
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.postgres import timeouts
from django_loco.queues.timeouts import no_store_timeout, store_timeout

from ...conftest import ON_POSTGRES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres"),
]
SECONDS = 20.0


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.setattr(timeouts, "IDLE_SECONDS", 0.0)
    with store_timeout():
        queue = DatabaseQueue("default", {})
        yield queue
        connection.close()
        queue.clear()
        queue.close()


def own_session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def cut_idle(postgres):
    pid = own_session()
    with connection.cursor() as cursor:
        cursor.execute("SET idle_session_timeout = '50ms'")
    wait_for_end(pid)


def terminate(postgres):
    pid = own_session()
    with postgres.connect() as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    wait_for_end(pid)


def wait_for_end(pid):
    """Wait until the server has sent its last words and closed the connection."""
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def claim(queue):
    return queue.fetch(Claim(worker_id="w", lease=30, threads=1))


@pytest.mark.parametrize("cut", [cut_idle, terminate])
def test_a_thread_that_slept_meanwhile_connects_again_and_raises_nothing(queue, postgres, cut):
    claim(queue)
    cut(postgres)
    [job] = queue.enqueue([Job(task_path="a.b", backend="default")])
    cut(postgres)
    [held] = claim(queue)
    cut(postgres)
    assert queue.renew([held], -1) == set()
    cut(postgres)
    assert [freed.id for freed in queue.rescue()] == [job.id]
    cut(postgres)
    assert queue.answers()


def test_a_connection_that_was_not_cut_is_kept_whatever_else_the_server_says(queue, postgres):
    claim(queue)
    session = own_session()
    connection.cursor().execute("LISTEN noise")
    for _ in range(3):
        with postgres.connect(connection.settings_dict["NAME"]) as other:
            other.execute("NOTIFY noise")
        claim(queue)
    assert own_session() == session


def test_a_busy_thread_does_not_look(queue, postgres, monkeypatch):
    monkeypatch.setattr(timeouts, "IDLE_SECONDS", SECONDS)
    monkeypatch.setattr(timeouts, "is_cut", lambda connection: pytest.fail("it has looked"))
    for _ in range(3):
        claim(queue)


def test_a_transaction_never_continues_on_another_connection(queue, postgres):
    claim(queue)
    with pytest.raises(QueueUnavailable), transaction.atomic():
        claim(queue)
        terminate(postgres)
        claim(queue)
    assert claim(queue) == []


def test_code_of_the_project_has_what_the_project_has_configured(queue, postgres):
    claim(queue)
    terminate(postgres)
    with no_store_timeout(), pytest.raises(QueueUnavailable):
        queue.counts()
    assert claim(queue) == []
