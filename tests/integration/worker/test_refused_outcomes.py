"""Outcomes that a real store refuses, while it takes others: they fail alone, and the worker goes on."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing

import pytest
from django.db import connection, connections

from django_loco.core.job import FAILED, SUCCESSFUL, Job
from django_loco.core.serialization import encode
from django_loco.queues import Queue, timeouts
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.database.records import probes
from django_loco.queues.database.sqlite import connections as sqlite
from django_loco.queues.redis import RedisQueue
from django_loco.queues.timeouts import STORE_TIMEOUT_SECONDS
from django_loco.tasks import task
from django_loco.worker import backoff
from django_loco.worker.outcomes import acknowledger
from django_loco.worker.outcomes.acknowledger import MAX_TRIES
from django_loco.worker.worker import Worker
from tests.redis_server import RedisServer

from ...conftest import ON_POSTGRES

SECONDS = 30.0
MEGABYTE = 2**20
ran: list[int] = []
gate = threading.Event()


@task
def give(size: int) -> str:
    ran.append(size)
    return "x" * size


@task
async def agive(size: int) -> str:
    ran.append(size)
    return "x" * size


@task
def wait() -> None:
    ran.append(0)
    gate.wait(SECONDS)


@task
def give_later(size: int) -> str:
    ran.append(size)
    gate.wait(SECONDS)
    return "x" * size


@task(max_attempts=3, backoff=0)
def fail(size: int) -> None:
    ran.append(size)
    raise ValueError("x" * size)


@pytest.fixture(autouse=True)
def _fresh():
    ran.clear()
    gate.clear()
    yield
    gate.set()


def job(name: str, *args: int) -> Job:
    arguments = encode([args, {}])
    return Job(task_path=f"{__name__}.{name}", backend="default", arguments=arguments, is_async=name == "agive")


def run(queue: Queue, jobs: list[Job]) -> list[Job]:
    """Run jobs to their end, by a worker that ends with them; return them as they are then."""
    queue.enqueue(jobs)
    worker = Worker(queue, threads=4, coroutines=20, lease=30, result_ttl=60, drain=True)
    worker.start()
    try:
        assert worker.join(SECONDS), worker.health()
    finally:
        worker.stop(time.monotonic() + 1)
        worker.join(5)
    return [stored for one in jobs if (stored := queue.get(one.id))]


@pytest.fixture(scope="module")
def small_redis():
    """A Redis that takes one megabyte at a time, as some hosted ones do."""
    with RedisServer() as server:
        with server.client() as client:
            client.config_set("proto-max-bulk-len", MEGABYTE)
        yield server


@pytest.fixture
def on_redis(small_redis):
    queue = RedisQueue("default", {"url": small_redis.url})
    queue.clear()
    yield queue
    queue.server.client.connection_pool.disconnect()


def test_on_redis_one_that_is_too_large_fails_and_the_others_go_on(on_redis, caplog):
    jobs = [job("give", size) for size in (10, 2 * MEGABYTE, 10, 20)] + [job("agive", size) for size in (10, 20)]
    ended = run(on_redis, jobs)
    assert [one.status for one in ended] == [SUCCESSFUL, FAILED, *[SUCCESSFUL] * 4]
    assert len(ran) == len(jobs), "nothing ran twice"
    [error] = ended[1].errors
    assert error.exception_class_path == "django_loco.exceptions.ResultRefused"
    assert "2,097,154 bytes" in error.traceback
    assert "proto-max-bulk-len" in error.traceback
    assert ended[1].id in caplog.text


def test_on_redis_those_that_only_together_are_too_large_all_succeed(on_redis):
    ended = run(on_redis, [job("agive", 300_000) for _ in range(20)])
    assert [one.status for one in ended] == [SUCCESSFUL] * 20
    assert len(ran) == 20


def test_on_redis_all_that_are_too_large_fail(on_redis):
    ended = run(on_redis, [job("agive", MEGABYTE + size) for size in range(8)])
    assert [one.status for one in ended] == [FAILED] * 8
    assert len(ran) == 8


@pytest.fixture
def database(transactional_db):
    queue = DatabaseQueue("default", {})
    yield queue
    queue.clear()


SLOW_TO_WRITE = """
    CREATE FUNCTION loco_slow() RETURNS trigger AS $$
    BEGIN IF length(NEW.return_value) > 1000 THEN PERFORM pg_sleep(30); END IF; RETURN NEW; END $$ LANGUAGE plpgsql;
    CREATE TRIGGER loco_slow BEFORE UPDATE ON django_loco_job FOR EACH ROW EXECUTE FUNCTION loco_slow();
"""


@pytest.fixture
def slow_postgres(database, monkeypatch):
    """A PostgreSQL on which large rows take longer than ``statement_timeout`` allows."""
    with connection.cursor() as cursor:
        cursor.execute(SLOW_TO_WRITE)
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "options", "-c statement_timeout=300")
    yield database
    monkeypatch.undo()
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER loco_slow ON django_loco_job; DROP FUNCTION loco_slow")


@pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres")
def test_on_postgres_one_that_takes_too_long_to_write_fails_and_the_others_go_on(slow_postgres):
    ended = run(slow_postgres, [job("give", size) for size in (10, 20, 5_000, 30)])
    assert [one.status for one in ended] == [SUCCESSFUL, SUCCESSFUL, FAILED, SUCCESSFUL]
    assert len(ran) == 4
    assert "statement timeout" in ended[2].errors[0].traceback


@pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres")
def test_on_postgres_a_row_that_somebody_has_locked_holds_up_no_other(slow_postgres):
    worker = Worker(slow_postgres, threads=4, coroutines=0, lease=30, result_ttl=60)
    [first] = slow_postgres.enqueue([job("wait")])
    worker.start()
    until(lambda: ran)
    locker = connections.create_connection("default")
    try:
        with locker.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM django_loco_job FOR UPDATE")
            gate.set()
            until(lambda: worker.health()["unstored"])
            others = slow_postgres.enqueue([job("give", 1) for _ in range(10)])
            until(lambda: all(slow_postgres.get(one.id).status == SUCCESSFUL for one in others))
            cursor.execute("ROLLBACK")
        until(lambda: slow_postgres.get(first.id).status == SUCCESSFUL)
        assert len(ran) == 11
    finally:
        locker.close()
        worker.stop(time.monotonic() + 5)
        assert worker.join(10)


@pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres")
def test_on_postgres_a_transaction_that_has_signalled_a_job_holds_up_no_other(database, other, caplog):
    """Without any time limit but that of the worker, which is 10 seconds."""
    [first] = database.enqueue([job("give_later", 5_000)])
    worker = Worker(database, threads=4, coroutines=0, lease=30, result_ttl=60)
    worker.start()
    until(lambda: ran)
    other.execute("UPDATE django_loco_job SET signals = '{}' WHERE id = %s", [first.id])
    gate.set()
    until(lambda: worker.health()["unstored"])
    began = time.monotonic()
    for _ in range(10):
        [next_one] = database.enqueue([job("give", 1)])
        until(lambda one=next_one: database.get(one.id).status == SUCCESSFUL)
    until(lambda: "still open has locked" in caplog.text)
    assert time.monotonic() - began < STORE_TIMEOUT_SECONDS
    assert not worker.health()["trouble"]
    other.execute("COMMIT")
    until(lambda: database.get(first.id).status == SUCCESSFUL)
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert len(ran) == 11


@pytest.fixture(params=["store timeout", "statement_timeout"])
def impatient_postgres(request, database, monkeypatch):
    """A PostgreSQL whose statements fail soon if they have to wait, for one reason or another."""
    connection.ensure_connection()  # that of the test has no limit
    monkeypatch.setattr(backoff, "MAX_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(probes, "PROBE_SECONDS", 0.2)
    if request.param == "store timeout":
        monkeypatch.setattr(timeouts, "STORE_TIMEOUT_SECONDS", 0.2)
    else:
        monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "options", "-c statement_timeout=200")
    yield database
    monkeypatch.undo()


@pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres")
def test_on_postgres_an_outcome_waits_while_its_table_is_locked(impatient_postgres, other, monkeypatch, caplog):
    replaced = []
    monkeypatch.setattr(acknowledger, "substitute_for", lambda outcome, error: replaced.append(outcome) or outcome)
    [waiting] = impatient_postgres.enqueue([job("give_later", 5_000)])
    worker = Worker(impatient_postgres, threads=1, coroutines=0, lease=30, result_ttl=60)
    worker.start()
    until(lambda: ran)
    other.execute("LOCK TABLE django_loco_job IN SHARE MODE")  # as CREATE INDEX does
    gate.set()
    until(lambda: worker._fetcher.backoff.failures > 3 * MAX_TRIES)
    assert worker.health()["unstored"] == 1
    other.execute("COMMIT")
    until(lambda: worker.health()["done"] == 1)
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert impatient_postgres.get(waiting.id).status == SUCCESSFUL
    assert (ran, replaced) == ([5_000], [])
    assert "refuses the outcome" not in caplog.text


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


@pytest.mark.skipif(ON_POSTGRES, reason="about SQLite; runs when LOCO_TEST_DATABASE is sqlite")
def test_on_sqlite_an_outcome_waits_while_somebody_else_writes(database, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 1)
    monkeypatch.setattr(backoff, "MAX_DELAY_SECONDS", 0.05)
    [waiting] = database.enqueue([job("wait")])
    worker = Worker(database, threads=1, coroutines=0, lease=30, result_ttl=60)
    worker.start()
    until(lambda: ran)
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        gate.set()
        until(lambda: worker._fetcher.backoff.failures > 4 * MAX_TRIES)
        assert worker.health()["unstored"] == 1
        other.execute("ROLLBACK")
    until(lambda: worker.health()["done"] == 1)
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert database.get(waiting.id).status == SUCCESSFUL
    assert ran == [0]
