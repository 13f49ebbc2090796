"""Runs: who decides them, and what their context shows."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from django_loco.core.compat import TaskContext
from django_loco.core.job import SUCCESSFUL, Outcome
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


@pytest.mark.parametrize(
    ("state", "is_alive"),
    [
        ({}, True),
        ({"started": True}, False),
        ({"started": True, "thread": threading.main_thread()}, True),
        ({"started": True, "thread": threading.Thread()}, False),
        ({"started": True, "thread": threading.Thread(), "ended": True}, True),
    ],
    ids=["waits", "nobody's", "attended", "of a dead thread", "ended"],
)
def test_a_run_that_can_come_to_no_end_is_not_alive(state, is_alive):
    run = run_of("nothing")
    for name, value in state.items():
        setattr(run, name, value)
    assert run.is_alive is is_alive


def test_what_a_run_was_settled_on_outlives_what_comes_after():
    run: Run = run_of("nothing")
    outcome, other = Outcome(job=run.job, status=SUCCESSFUL), Outcome.released(run.job)
    assert run.settle(outcome)
    assert run.settled_on(other) is outcome
    assert run_of("nothing").settled_on(other) is other
    elsewhere = run_of("nothing")
    elsewhere.settle()
    assert elsewhere.settled_on(other) is None
