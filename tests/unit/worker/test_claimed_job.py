"""Runs: who decides them, and what their context shows."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from django_loco.core.compat import TaskContext
from django_loco.worker import JobContext
from django_loco.worker.claimed_job import Run
from django_loco.worker.execution.attempt import Attempt, prepare

from .support import held, run_of


def test_only_the_first_decides():
    run = run_of("nothing")
    assert [run.is_settled, run.settle(), run.is_settled, run.settle()] == [False, True, True, False]


def test_only_one_of_many_threads_decides():
    for _ in range(200):
        run = run_of("nothing")
        barrier = threading.Barrier(4)
        winners: list[bool] = []

        def settle(run: Run = run, barrier: threading.Barrier = barrier, winners: list[bool] = winners) -> None:
            barrier.wait()
            winners.append(run.settle())

        threads = [threading.Thread(target=settle) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(winners) == [False, False, False, True]


@pytest.mark.parametrize("flag", ["lost", "cancelled"])
def test_a_run_that_is_lost_or_cancelled_is_stopping(flag):
    run = run_of("nothing")
    assert not run.stopping
    setattr(run, flag, True)
    assert run.stopping


def test_a_run_stops_with_its_worker():
    stop = threading.Event()
    run = Run(held("nothing"), stop)
    assert not run.stopping
    stop.set()
    assert run.stopping


def context_of(name: str) -> JobContext:
    attempt = prepare(run_of(name))
    assert isinstance(attempt, Attempt)
    return attempt._context()


def test_the_context_without_a_limit():
    context = context_of("look")
    assert isinstance(context, TaskContext)
    assert context.attempt == 1
    assert context.task_result.worker_ids == ["w1"]
    assert context.deadline is None
    assert context.remaining() is None
    assert not context.stopping


def test_the_context_with_a_limit():
    context = context_of("look_at_limit")
    assert context.deadline is not None
    assert 90 < (context.deadline - datetime.now(UTC)).total_seconds() <= 100
    assert 90 < (context.remaining() or 0) <= 100


def test_nothing_remains_after_the_limit():
    run = run_of("look_at_limit")
    attempt = prepare(run)
    assert isinstance(attempt, Attempt)
    context = JobContext(task_result=attempt.result, run=run, deadline=datetime.now(UTC), ends_at=0.0)
    assert context.remaining() == 0
