"""A PostgreSQL that says nothing any more: who waits how long, and what is left of it on the server."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection, connections, transaction

from django_loco.assembly.components import missing_tables
from django_loco.core.job import SUCCESSFUL, Job
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.timeouts import current_store_timeout, no_store_timeout, set_store_timeout
from django_loco.worker.worker import Worker
from tests.app import tasks

from ...conftest import ON_POSTGRES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres"),
]
LIMIT = 0.5
SECONDS = 20.0


@pytest.fixture
def queue():
    queue = DatabaseQueue("default", {})
    yield queue
    queue.clear()
    queue.close()


@pytest.fixture
def short_timeout():
    set_store_timeout(LIMIT)
    yield
    with no_store_timeout():
        connection.close()
    set_store_timeout(float("inf"))


@contextmanager
def stopped(pids):
    """Stop processes of the server; what hangs on them hangs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def own_process() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def fetch(queue):
    return queue.fetch(Claim(worker_id="w", lease=30, threads=1))


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def others(postgres, condition="true"):
    """Return the ids of the server's processes for this database, but for those of this thread's."""
    with postgres.connect() as mine:
        rows = mine.execute(
            f"SELECT pid FROM pg_stat_activity WHERE datname = %s AND {condition}",
            [connection.settings_dict["NAME"]],
        ).fetchall()
    return [pid for (pid,) in rows]


def test_a_thread_with_a_timeout_gives_up_and_has_a_new_connection_at_once(queue, short_timeout):
    fetch(queue)
    began = time.monotonic()
    with stopped([own_process()]):
        with pytest.raises(QueueUnavailable, match=r"has not answered for 0\.5 seconds"):
            fetch(queue)
        assert time.monotonic() - began >= LIMIT
        assert fetch(queue) == []


@pytest.mark.parametrize("verb", ["finish", "renew", "rescue", "prune", "checkpoint", "get"])
def test_each_step_has_an_end(queue, short_timeout, verb):
    queue.enqueue([Job(task_path="a.b", backend="default")])
    [job] = fetch(queue)
    calls = {
        "finish": lambda: queue.finish([]),
        "renew": lambda: queue.renew([job], 30),
        "rescue": queue.rescue,
        "prune": lambda: queue.prune(1),
        "checkpoint": lambda: queue.update(job, "checkpoint", "1"),
        "get": lambda: queue.get(job.id),
    }
    with stopped([own_process()]), pytest.raises(QueueUnavailable):
        calls[verb]()
    assert queue.get(job.id).token == job.token


def test_so_has_the_connection_that_listens(queue, short_timeout, postgres, monkeypatch):
    known = set(others(postgres))
    queue.wait(0)
    [listening] = set(others(postgres)) - known
    until(lambda: not queue.wait(0.1))
    with stopped([listening]):
        assert not any(queue.wait(0.2) for _ in range(3))  # silence is all that is expected of it for a while
        monkeypatch.setattr("django_loco.queues.database.postgres.listener.SILENCE_SECONDS", 0.1)
        with pytest.raises(QueueUnavailable, match="has not answered"):
            queue.wait(10)
        assert queue.wait(10)  # on a new one
        until(lambda: queue.wait(0.2))  # which is asked in its turn
    monkeypatch.undo()
    until(lambda: not queue.wait(0.1))
    queue.enqueue([Job(task_path="a.b", backend="default")])
    assert queue.wait(10)
    queue.close()


def test_a_server_that_lets_nobody_in_any_more_is_given_up_too(queue, short_timeout, postgres):
    queue.close()
    with stopped([postgres.pid]), pytest.raises(QueueUnavailable, match="timeout"):
        fetch(queue)
    assert fetch(queue) == []


def test_a_worker_starts_though_its_server_hangs(queue, postgres, monkeypatch):
    monkeypatch.setattr("django_loco.queues.timeouts.STORE_TIMEOUT_SECONDS", LIMIT)
    connection.close()
    began = time.monotonic()
    with stopped([postgres.pid]):
        assert missing_tables("default") is None
    assert time.monotonic() - began < SECONDS
    assert current_store_timeout() == float("inf")


def test_in_the_middle_of_a_transaction(queue, short_timeout):
    fetch(queue)
    with stopped([own_process()]), pytest.raises(QueueUnavailable), transaction.atomic():
        fetch(queue)
    assert fetch(queue) == []


def test_other_threads_and_the_projects_own_code_wait_as_ever(queue, short_timeout):
    fetch(queue)
    with no_store_timeout():
        queue.enqueue([Job(task_path="a.b", backend="default")])
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [2 * LIMIT])
    assert current_store_timeout() == LIMIT
    seen = []

    def other():
        seen.extend([current_store_timeout(), vars(connections["default"]).get("get_new_connection")])
        fetch(queue)
        seen.append(vars(connections["default"]).get("get_new_connection"))
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [float("inf"), None, None]


@pytest.mark.skipif(not psycopg.capabilities.has_cancel_safe(), reason="that takes libpq 17")
def test_nothing_is_left_on_the_server_of_a_statement_that_waits_for_a_lock(queue, short_timeout, postgres):
    """Or a table that is being altered would take all connections, a try at a time."""
    waits = "wait_event_type = 'Lock'"
    with postgres.connect(connection.settings_dict["NAME"]) as other, other.transaction():
        other.execute("LOCK TABLE django_loco_job IN ACCESS EXCLUSIVE MODE")
        for _ in range(2):
            with pytest.raises(QueueUnavailable):
                fetch(queue)
        until(lambda: not others(postgres, waits))
    assert fetch(queue) == []


def test_a_worker_that_hangs_with_its_server_says_so_and_goes_on_by_itself(queue, postgres, monkeypatch):
    monkeypatch.setattr("django_loco.queues.timeouts.STORE_TIMEOUT_SECONDS", LIMIT)
    worker = Worker(queue, threads=1, coroutines=0, lease=30, result_ttl=60)
    known = set(others(postgres))
    worker.start()
    until(lambda: len(set(others(postgres)) - known) >= 3)  # fetcher, listener, housekeeping
    with stopped(set(others(postgres)) - known):
        until(lambda: "has not answered" in worker.health()["trouble"])
        until(lambda: not worker.health()["trouble"])  # on connections of which the server knows better
        result = tasks.add.enqueue(1, 2)
        until(lambda: queue.get(result.id).status == SUCCESSFUL)
    worker.stop(time.monotonic() + 5)
    assert worker.join(SECONDS)
