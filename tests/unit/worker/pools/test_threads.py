"""The pool of threads."""

from __future__ import annotations

import itertools
import logging
import math
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from django_loco.core.compat import task_backends
from django_loco.core.job import FAILED, READY, SUCCESSFUL
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.outcomes.inbox import OutcomeInbox
from django_loco.worker.pools import job_thread
from django_loco.worker.pools import threads as module
from django_loco.worker.pools.interpreter_monitor import InterpreterMonitor
from django_loco.worker.pools.job_thread import JobThread
from django_loco.worker.pools.threads import ThreadPool

from .. import tasks
from ..support import claimed_of, outcomes, wait_until
from .contract import PoolContract


@pytest.fixture
def pool(finished: OutcomeInbox) -> Iterator[ThreadPool]:
    pool = ThreadPool(3, "default", finished.add, grace=0.05)
    yield pool
    pool.close()
    for event in list(tasks.events.values()):
        event.set()
    assert pool.join(5)


def submit(pool: ThreadPool, claimed_jobs: Sequence[ClaimedJob], already: int = 0) -> None:
    pool.submit(claimed_jobs)


@pytest.fixture
def fixed_pool(finished: OutcomeInbox) -> Iterator[ThreadPool]:
    """A pool whose threads may all run jobs, without a monitor."""
    pool = ThreadPool(3, "default", finished.add, active=3)
    pool._monitor.wake.set()  # so it is not started
    yield pool
    pool.close()
    assert pool.join(5)


class TestThreadPool(PoolContract):
    waits = "wait_for"
    forks = ("forks", "forks_in_a_step")


def test_threads_start_when_there_is_work_for_them(fixed_pool, finished):
    pool = fixed_pool
    assert pool._threads == []
    for _ in range(5):
        submit(pool, [claimed_of("nothing")])
        outcomes(finished, 1)
    assert len(pool._threads) == 1
    assert pool._threads[0].name == "loco-worker-1"
    assert pool._threads[0].daemon
    submit(pool, [claimed_of("wait_for", name) for name in "ab"])
    for name in "ab":
        tasks.retried(tasks.events[f"{name} began"])
    assert len(pool._threads) == 2
    for name in "ab":
        tasks.events[name].set()
    assert len(outcomes(finished, 2)) == 2


def test_a_closed_pool_ends_its_threads_after_their_jobs(pool, finished):
    claimed = claimed_of("wait_for", "a")
    submit(pool, [claimed])
    tasks.retried(tasks.events["a began"])
    pool.close()
    assert pool.withdraw(10) == []
    tasks.events["a"].set()
    assert outcomes(finished, 1) == {claimed: SUCCESSFUL}
    wait_until(lambda: not pool._threads[0].is_alive())


def test_a_join_does_not_wait_for_what_cannot_be_ended(pool, finished):
    submit(pool, [claimed_of("wait_for", "a")])
    tasks.retried(tasks.events["a began"])
    pool.close()
    assert pool.join(5)


def test_nor_for_a_thread_that_leaves_its_job_just_then(finished):
    class Leaving(JobThread):
        busy = property(lambda thread: next(thread.answers), lambda thread, value: None)

    pool = ThreadPool(1, "default", finished.add)
    thread = Leaving(pool, "loco-worker-1", None)
    thread.answers = itertools.chain([True], itertools.repeat(False))
    thread.is_alive = lambda: True
    pool._threads.append(thread)
    assert pool.join(0.01)


def test_the_backend_is_made_once_per_thread(pool, finished, monkeypatch):
    made: list[str] = []
    create = task_backends.create_connection

    def create_and_count(alias: str) -> Any:
        made.append(alias)
        return create(alias)

    monkeypatch.setattr(task_backends, "create_connection", create_and_count)
    for _ in range(20):
        submit(pool, [claimed_of("nothing")])
        outcomes(finished, 1)
    # A second thread starts if the first is not yet back from its last job.
    assert 1 <= len(made) <= len(pool._threads)


@pytest.mark.interrupts
def test_a_computing_job_is_interrupted(pool, finished):
    claimed = claimed_of("spin")
    submit(pool, [claimed])
    assert outcomes(finished, 1) == {claimed: FAILED}
    assert pool.abandoned == 0
    submit(pool, [claimed_of("nothing")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]
    assert pool._threads[0].is_alive()


def test_a_job_that_cannot_be_interrupted_is_given_up(pool, finished, caplog):
    claimed = claimed_of("deaf", "d", options={"max_attempts": 2})
    submit(pool, [claimed])
    wait_until(lambda: finished._items)
    [(reported, outcome)] = finished.take()
    assert reported is claimed
    assert outcome.status == READY
    assert outcome.spent
    assert outcome.error.exception_class_path == "django_loco.exceptions.JobTimeout"
    assert "could not be interrupted" in outcome.error.traceback
    assert "in deaf" in outcome.error.traceback  # where the thread was
    assert claimed.stopping
    assert pool.abandoned == 1
    assert "in deaf" in caplog.text
    assert "ERROR" in [record.levelname for record in caplog.records]


def test_its_place_is_filled_and_its_result_ignored(pool, finished):
    submit(pool, [claimed_of("deaf", name) for name in "abc"])
    assert len(outcomes(finished, 3)) == 3
    submit(pool, [claimed_of("nothing") for _ in range(5)])
    assert list(outcomes(finished, 5).values()) == [SUCCESSFUL] * 5
    assert pool.abandoned == 3
    for name in "abc":
        tasks.events[name].set()
    wait_until(lambda: pool.abandoned == 0)
    assert finished.take() == []
    assert len(pool._threads) == 3


def test_a_join_waits_for_a_thread_that_is_just_being_replaced(pool, finished, monkeypatch):
    go_on, joined = threading.Event(), []
    pool.size = 1  # the second thread is the successor
    start = JobThread.start

    def start_slowly(thread: JobThread) -> None:
        start(thread)
        if thread.name == "loco-worker-2":
            tasks.retried(go_on)

    monkeypatch.setattr(JobThread, "start", start_slowly)
    submit(pool, [claimed_of("deaf", "d")])
    assert len(outcomes(finished, 1)) == 1
    pool.close()
    joiner = threading.Thread(target=lambda: joined.append(pool.join(5)))
    joiner.start()
    go_on.set()
    joiner.join()
    assert joined == [True]
    assert [thread.is_alive() for thread in pool._threads] == [False]


def test_no_thread_to_be_had_for_the_successor(pool, finished, monkeypatch, caplog):
    claimed = claimed_of("deaf", "d")
    submit(pool, [claimed])
    tasks.retried(tasks.events["d began"])

    def refuse(*args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pool, "_start_thread", refuse)
    assert outcomes(finished, 1) == {claimed: FAILED}
    wait_until(lambda: "can't start new thread" in caplog.text)
    assert "could not be given up" not in caplog.text


def test_a_job_whose_timeout_cannot_be_enforced_is_put_off(pool, finished, monkeypatch, caplog):
    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(pool._interrupter._thread, "start", refuse)
        submit(pool, [claimed_of("look_at_limit")])
        wait_until(lambda: finished._items)
    [(_, outcome)] = finished.take()
    assert (outcome.status, outcome.spent, outcome.run_after is None) == (READY, False, False)
    assert "can't start new thread" in outcome.error.traceback
    assert "could not be run" in caplog.text
    assert pool._interrupter._calls == set()  # otherwise it would try for ever to interrupt a job that does not run
    submit(pool, [claimed_of("look_at_limit")])
    assert list(outcomes(finished, 1).values()) == [SUCCESSFUL]


def test_a_bug_of_ours_hands_the_job_back(pool, finished, monkeypatch, caplog):
    def broken(*args):
        raise ZeroDivisionError

    monkeypatch.setattr(module, "execute", broken)
    claimed = claimed_of("nothing")
    submit(pool, [claimed])
    wait_until(lambda: finished._items)
    [(_, outcome)] = finished.take()
    assert (outcome.status, outcome.spent) == (READY, False)
    assert outcome.run_after is not None
    assert "could not be run" in caplog.text


def test_after_the_call_it_fails_the_job_and_the_end_is_announced(pool, finished, monkeypatch, receivers):
    def broken(claimed: ClaimedJob, *args: object) -> None:
        claimed.began_at = time.monotonic()
        raise ZeroDivisionError

    announced: list[Any] = []
    receivers(announced.append)
    monkeypatch.setattr(module, "execute", broken)
    submit(pool, [claimed_of("nothing")])
    wait_until(lambda: finished._items)
    [(claimed, outcome)] = finished.take()
    assert (outcome.status, outcome.spent) == (FAILED, True)
    claimed.announcement()
    assert [result.status for result in announced] == [FAILED]


def test_log_lines_of_the_threads_are_the_workers(pool, finished, caplog):
    with caplog.at_level(logging.INFO):
        submit(pool, [claimed_of("fail")])
        outcomes(finished, 1)
    assert {record.threadName.rpartition("-")[0] for record in caplog.records} == {"loco-worker"}


def test_many_short_jobs_in_many_threads(finished):
    pool = ThreadPool(8, "default", finished.add)
    claimed_jobs = [claimed_of("add", 1) for _ in range(2000)]
    for start in range(0, 2000, 100):
        pool.submit(claimed_jobs[start : start + 100])
    assert outcomes(finished, 2000) == dict.fromkeys(claimed_jobs, SUCCESSFUL)
    pool.close()
    assert pool.join(5)
    assert not any(thread.is_alive() for thread in pool._threads)


@pytest.mark.parametrize("active", [1, 2])
def test_a_fixed_number_of_threads_run_jobs(finished, active):
    pool = ThreadPool(3, "default", finished.add, active=active)
    claimed_jobs = [claimed_of("wait_for", name) for name in "abc"]
    pool.submit(claimed_jobs)
    for name in "abc"[:active]:
        tasks.retried(tasks.events[f"{name} began"])
    assert (pool.busy, pool.limit.now, pool.limit_reason) == (active, active, "fixed")
    assert [claimed.started for claimed in claimed_jobs] == [True] * active + [False] * (3 - active)
    for name in "abc":
        tasks.events[name].set()
    assert len(outcomes(finished, 3)) == 3
    pool.close()
    assert pool.join(5)


def test_without_an_interpreter_lock_all_threads_run_jobs(finished, monkeypatch):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert ThreadPool(3, "default", finished.add).limit.now == 3
    assert ThreadPool(3, "default", finished.add, active=2).limit.now == 2


def test_jobs_that_wait_have_a_thread_each_after_jobs_that_compute(finished):
    pool = ThreadPool(8, "default", finished.add)
    pool.submit([claimed_of("add", 1) for _ in range(2_000)])
    outcomes(finished, 2_000)
    pool.submit([claimed_of("wait_for", str(number)) for number in range(8)])
    for number in range(8):
        tasks.retried(tasks.events[f"{number} began"])
    assert pool.busy == 8
    for number in range(8):
        tasks.events[str(number)].set()
    outcomes(finished, 8)
    pool.close()
    assert pool.join(5)


def test_no_thread_can_be_started(finished, monkeypatch, caplog):
    def refuse(thread: JobThread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(JobThread, "start", refuse)
    pool = ThreadPool(2, "default", finished.add, active=2)
    claimed = claimed_of("nothing")
    pool.submit([claimed])
    assert "The worker cannot start another thread for jobs for now" in caplog.text
    assert pool.withdraw(10) == [claimed]
    monkeypatch.undo()
    pool.submit([claimed])
    assert outcomes(finished, 1) == {claimed: SUCCESSFUL}
    pool.close()
    assert pool.join(5)


def test_a_thread_that_closes_a_broken_connection_does_not_hold_up_the_others(finished, monkeypatch):
    pool = ThreadPool(2, "default", finished.add, active=2)
    pool.warm_up()
    wait_until(lambda: len(pool._work._asleep) == 2)
    hangs, goes_on = iter([True]), threading.Event()
    monkeypatch.setattr(job_thread, "tidy", lambda: next(hangs, False) and tasks.retried(goes_on))
    claimed = claimed_of("nothing")
    pool.submit([claimed])
    assert outcomes(finished, 1) == {claimed: SUCCESSFUL}
    goes_on.set()
    pool.close()
    assert pool.join(5)


def test_a_pool_that_has_asked_for_fewer_jobs_says_when_it_has_room_again(finished):
    has_room = threading.Event()
    pool = ThreadPool(3, "default", finished.add, on_room=has_room.set)
    pool.limit.note_sample(1.0, 0)
    assert pool.capacity == 1
    pool.submit([claimed_of("wait_for", "a")])
    tasks.retried(has_room)
    assert pool.capacity >= 2
    tasks.events["a"].set()
    outcomes(finished, 1)
    pool.close()
    assert pool.join(5)


def test_jobs_run_without_a_monitor(finished, monkeypatch, caplog):
    def refuse(monitor: InterpreterMonitor) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(InterpreterMonitor, "start", refuse)
    pool = ThreadPool(2, "default", finished.add)
    claimed_jobs = [claimed_of("wait_for", name) for name in "ab"]
    pool.submit(claimed_jobs)
    assert "The worker cannot start the monitor of its threads for now" in caplog.text
    for name in "ab":
        tasks.events[name].set()
    assert outcomes(finished, 2) == dict.fromkeys(claimed_jobs, SUCCESSFUL)
    pool.close()
    assert pool.join(5)


def test_a_warm_pool_starts_no_thread_later(finished, monkeypatch, caplog):
    """As Python 3.12.0 requires of jobs that run while the process ends."""
    pool = ThreadPool(2, "default", finished.add)
    pool.warm_up()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    claimed_jobs = [claimed_of("wait_for", name, options={"timeout": 60}) for name in "abc"]
    pool.submit(claimed_jobs)
    for name in "abc":
        tasks.events[name].set()
    assert outcomes(finished, 3) == dict.fromkeys(claimed_jobs, SUCCESSFUL)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    pool.close()
    assert pool.join(5)


def test_the_processor_time_of_a_thread(pool, finished):
    submit(pool, [claimed_of("busy", 0.02)])
    outcomes(finished, 1)
    thread = next(thread for thread in pool._threads if thread.cpu_seconds > 0 or math.isnan(thread.cpu_seconds))
    assert math.isnan(thread.cpu_seconds) or thread.cpu_seconds > 0
    pool.close()
    wait_until(lambda: math.isnan(thread.cpu_seconds))
