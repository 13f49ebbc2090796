"""Threads that are interrupted or killed outside of a job, as only a debugger or a careless library does."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from django_loco.core.job import READY, SUCCESSFUL
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.pools.job_thread import JobThread
from django_loco.worker.pools.thread_limit import ThreadLimit
from django_loco.worker.pools.threads import ThreadPool
from django_loco.worker.worker import Worker

from .. import tasks
from ..support import claimed_of, job, outcomes, wait_until


@pytest.fixture
def pool(finished):
    pool = ThreadPool(2, "default", finished.add)
    yield pool
    for event in list(tasks.events.values()):
        event.set()
    pool.close()
    assert pool.join(5)


@pytest.fixture(autouse=True)
def _quiet_deaths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)


def test_a_thread_that_is_interrupted_between_jobs_goes_on(pool, finished, monkeypatch, caplog):
    def take(thread: JobThread) -> ClaimedJob | None:
        monkeypatch.undo()
        raise SystemExit

    monkeypatch.setattr(pool, "take", take)
    pool.submit([claimed_of("nothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]
    assert pool._threads[0].is_alive()
    assert "was interrupted and goes on" in caplog.text


@pytest.mark.parametrize("where", ["django_loco.worker.pools.threads.tidy", "django_loco.worker.pools.threads.execute"])
def test_what_is_raised_around_a_job_loses_neither_job_nor_thread(pool, finished, monkeypatch, where):
    def broken(*args: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(where, broken)
    claimed = claimed_of("nothing")
    pool.submit([claimed])
    assert outcomes(finished, 1) == {claimed: SUCCESSFUL if where.endswith("tidy") else READY}
    monkeypatch.undo()
    pool.submit([claimed_of("nothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]


def test_a_thread_that_is_interrupted_while_it_takes_a_job_hands_it_back(pool, finished, monkeypatch):
    def waits(limit: ThreadLimit, task_path: str) -> bool:
        monkeypatch.undo()
        raise SystemExit

    monkeypatch.setattr(ThreadLimit, "waits", waits)
    claimed = claimed_of("nothing")
    pool.submit([claimed])
    assert outcomes(finished, 1) == {claimed: READY}
    pool.submit([claimed_of("nothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]


def test_a_thread_that_could_not_be_woken_is_woken_later(pool, finished, monkeypatch):
    pool.warm_up()
    wait_until(lambda: len(pool._work._asleep) == 2)

    def wake(thread: JobThread) -> None:
        monkeypatch.undo()
        raise SystemExit

    monkeypatch.setattr(JobThread, "wake", wake)
    claimed_jobs = [claimed_of("wait_for", name) for name in "ab"]
    pool.submit(claimed_jobs)
    for name in "ab":
        tasks.retried(tasks.events[f"{name} began"])
        tasks.events[name].set()
    assert outcomes(finished, 2) == dict.fromkeys(claimed_jobs, SUCCESSFUL)


def test_a_thread_that_has_died_is_replaced_and_its_job_handed_back(pool, finished, monkeypatch):
    died = threading.Event()
    pool.size = 1  # so no second thread can be started before the first one takes the job

    def die(thread: JobThread) -> None:
        claimed = pool.take(thread)
        thread.current, claimed.thread, claimed.started = claimed, thread, True
        died.set()

    monkeypatch.setattr(JobThread, "run", die)
    claimed = claimed_of("nothing")
    pool.submit([claimed])
    tasks.retried(died)
    wait_until(lambda: pool.missing == 1)
    assert not claimed.is_alive
    monkeypatch.undo()
    pool.replace_dead()
    assert (pool.missing, len(pool._threads)) == (0, 1)
    assert outcomes(finished, 1) == {claimed: READY}
    assert claimed.is_alive
    pool.submit([claimed_of("nothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]


def test_a_dead_thread_takes_no_place_even_if_no_other_can_be_started(pool, finished, monkeypatch):
    pool.size = 1

    def die(thread: JobThread) -> None:
        thread.current = pool.take(thread)

    def refuse(*args: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(JobThread, "run", die)
        pool.submit([claimed_of("nothing")])
        wait_until(lambda: pool.missing == 1)
    assert len(pool._work._counted) == 1
    with monkeypatch.context() as patched:
        patched.setattr(pool, "_start_thread", refuse)
        with pytest.raises(RuntimeError):
            pool.replace_dead()
    assert len(pool._work._counted) == 0
    pool.replace_dead()
    assert list(outcomes(finished, 1).values()) == [READY]


@pytest.mark.slow
def test_a_worker_mends_its_pools_and_says_so_until_then(monkeypatch):
    queue = MemoryQueue("default", {})
    worker = Worker(queue, threads=1, coroutines=0, lease=30, result_ttl=60)
    replace_dead = ThreadPool.replace_dead
    monkeypatch.setattr(ThreadPool, "replace_dead", lambda pool: None)
    monkeypatch.setattr(JobThread, "run", lambda thread: None)
    worker.start()
    [one] = queue.enqueue([job("nothing")])
    wait_until(lambda: worker.health()["missing"] == 1)
    assert worker.health()["trouble"] == "1 thread for jobs has died"
    monkeypatch.undo()
    assert ThreadPool.replace_dead is replace_dead
    wait_until(lambda: queue.get(one.id).status == SUCCESSFUL)
    assert (worker.health()["missing"], worker.health()["trouble"]) == (0, "")
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
