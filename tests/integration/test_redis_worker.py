"""The backend and a worker on Redis: commits, results, outages, and what an idle worker costs."""

from __future__ import annotations

import time

import pytest
from django.db import transaction

from django_loco.core.compat import TaskResultDoesNotExist, TaskResultStatus
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import queue_for
from django_loco.tasks import enqueue_many
from django_loco.worker import in_process
from tests.app import tasks
from tests.redis_server import RedisServer

SECONDS = 20.0


@pytest.fixture
def on_redis(redis_server, settings):
    settings.TASKS = redis_server.setting()
    queue = queue_for("default")
    queue.clear()
    return queue


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def drain():
    worker = in_process.worker_for("default", threads=2, coroutines=2, drain=True)
    worker.start()
    assert worker.join(SECONDS)
    return worker


@pytest.fixture
def worker():
    worker = in_process.worker_for("default", threads=2, coroutines=2)
    yield worker
    worker.stop(time.monotonic() + 5)
    assert worker.join(SECONDS)


def test_jobs_run_and_their_results_can_be_asked_for(on_redis):
    results = enqueue_many(tasks.add, [(1, 2), (3, 4)])
    failing, is_async = tasks.fail.enqueue("no"), tasks.aadd.enqueue(5, 6)
    drain()
    for result in (*results, failing, is_async):
        result.refresh()
    assert [result.return_value for result in results] == [3, 7]
    assert is_async.return_value == 11
    assert failing.status == TaskResultStatus.FAILED
    assert "ValueError: no" in failing.errors[0].traceback


def test_a_retry(on_redis):
    result = tasks.fail_twice.enqueue("on redis")
    drain()
    result.refresh()
    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 3, 3)


@pytest.mark.django_db(transaction=True)
def test_an_enqueue_waits_for_the_commit(on_redis):
    with transaction.atomic():
        result = tasks.add.enqueue(1, 2)
        assert on_redis.list() == []
    assert [job.id for job in on_redis.list()] == [result.id]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_was_never_enqueued(on_redis):
    with transaction.atomic():
        tasks.add.enqueue(1, 2)
        transaction.set_rollback(True)
    assert on_redis.list() == []


def test_results_live_as_long_as_they_should(on_redis, settings):
    settings.LOCO = {"RESULT_TTL": 0.01}
    result = tasks.add.enqueue(1, 2)
    drain()
    time.sleep(0.01)
    # Not by draining: a worker that ends at once may do so before its housekeeping has had a turn.
    worker = in_process.worker_for("default", threads=2, coroutines=2)
    worker.start()
    until(lambda: on_redis.get(result.id) is None)
    worker.stop(time.monotonic() + SECONDS)
    assert worker.join(SECONDS)
    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()
    assert on_redis.counts() == {}


def test_no_more_results_are_kept_than_asked_for(redis_server, settings):
    settings.TASKS = redis_server.setting()
    settings.TASKS["default"]["OPTIONS"]["max_results"] = 3
    queue = queue_for("default")
    queue.clear()
    results = enqueue_many(tasks.add, [(number, 0) for number in range(10)])
    drain()
    queue.prune(older_than=3600)
    assert queue.counts() == {("default", TaskResultStatus.SUCCESSFUL): 3}
    assert len(queue.list()) == 3
    assert {job.id for job in queue.list()} < {result.id for result in results}


def test_a_worker_outlives_its_redis(settings):
    with RedisServer() as server:
        settings.TASKS = server.setting()
        worker = in_process.worker_for("default", threads=2, coroutines=2)
        worker.start()
        try:
            until(lambda: worker.health()["last_poll_age"] < 1)
            server.kill()
            until(lambda: "Connection refused" in worker.health()["trouble"])
            assert worker.health()["alive"]
            with pytest.raises(QueueUnavailable, match="Connection refused"):
                tasks.add.enqueue(1, 2)
            server.start()
            result = tasks.add.enqueue(3, 4)
            until(lambda: worker.health()["done"] == 1)
            assert worker.health()["trouble"] == ""
            result.refresh()
            assert result.return_value == 7
        finally:
            worker.stop(time.monotonic() + 5)
            assert worker.join(SECONDS)


def test_an_idle_worker_sends_less_than_two_and_a_half_commands_a_second(on_redis, worker):
    client = on_redis.server.client
    worker.start()
    until(lambda: client.info("clients")["blocked_clients"])
    client.config_resetstat()
    began = time.monotonic()
    time.sleep(4)
    calls = {name: told["calls"] for name, told in client.info("commandstats").items()}
    seconds = time.monotonic() - began
    # What scripts call is counted, too.
    sent = sum(
        count for name, count in calls.items() if name.split("_")[1] in ("evalsha", "bzpopmin", "client|unblock")
    )
    assert 0 < sent / seconds < 2.5, calls
    assert sum(calls.values()) / seconds < 6, calls
