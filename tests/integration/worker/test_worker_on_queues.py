"""The worker on the real queues."""

from __future__ import annotations

import time
from collections import Counter

from django.contrib.contenttypes.models import ContentType

from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL
from django_loco.queues import Claim
from django_loco.worker.fetching import fetcher

from .conftest import job


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_two_workers_share_the_jobs_and_none_runs_twice(queue, start):
    jobs = queue.enqueue([job("create", f"model{number}") for number in range(200)])
    workers = [start(threads=4, drain=True) for _ in range(2)]
    assert all(worker.join(40) for worker in workers)
    assert Counter(queue.get(one.id).status for one in jobs) == {SUCCESSFUL: 200}
    assert ContentType.objects.filter(app_label="made").count() == 200
    assert sum(worker.health()["done"] for worker in workers) == 200


def test_a_job_wakes_an_idle_worker(queue, start, monkeypatch):
    monkeypatch.setattr(fetcher, "POLL_SECONDS", 3600.0)
    worker = start()
    wait_until(lambda: worker.health()["alive"])
    for name in ("count", "acount"):
        [one] = queue.enqueue([job(name)])
        wait_until(lambda one=one: queue.get(one.id).status == SUCCESSFUL)


def test_a_dead_workers_job_is_run_by_another(queue, start):
    [one] = queue.enqueue([job("count")])
    [held] = queue.fetch(Claim(worker_id="dead", lease=0.9, threads=1))
    assert queue.get(one.id).status == RUNNING
    start(lease=1)
    wait_until(lambda: queue.get(one.id).status == SUCCESSFUL, seconds=10)
    ended = queue.get(one.id)
    assert ended.lost == 1
    assert held.worker_id not in ended.worker_ids


def test_a_stop_hands_back_and_the_next_worker_goes_on(queue, start):
    jobs = queue.enqueue([job("create", f"model{number}") for number in range(100)])
    first = start(threads=2)
    wait_until(lambda: first.health()["done"] >= 5)
    first.stop(time.monotonic() + 5)
    assert first.join(10)
    states = Counter(queue.get(one.id).status for one in jobs)
    assert set(states) <= {SUCCESSFUL, READY}
    assert start(threads=4, drain=True).join(40)
    assert {queue.get(one.id).status for one in jobs} == {SUCCESSFUL}
    assert all(len(queue.get(one.id).worker_ids) == 1 for one in jobs)
    assert ContentType.objects.filter(app_label="made").count() == 100


def test_new_jobs_do_not_wait_behind_those_of_a_task_that_was_removed(queue, start, caplog):
    queue.enqueue([job("removed", number) for number in range(2_000)])
    [new] = queue.enqueue([job("count")])
    worker = start()
    wait_until(lambda: queue.get(new.id).status == SUCCESSFUL, 10)
    wait_until(lambda: queue.oldest_due() is None)
    wait_until(lambda: worker.health()["unstored"] == 0)
    assert [one.status for one in queue.list(status=READY, limit=3_000)] == [READY] * 2_000
    assert len([record for record in caplog.records if "removed wait for a worker" in record.getMessage()]) == 1


def test_a_failure_keeps_its_traceback(queue, run):
    [one] = run(("create",))
    assert one.status == FAILED
    assert "TypeError" in one.errors[0].traceback


def test_the_log_of_queries_that_debug_keeps_does_not_grow(queue, start, settings, opened):
    settings.DEBUG = True
    worker = start()
    queue.enqueue([job("count") for _ in range(100)])
    wait_until(lambda: worker.health()["done"] == 100)
    wait_until(lambda: all(len(connection.queries_log) < 10 for connection, _ in opened.all))
