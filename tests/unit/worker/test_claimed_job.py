"""Runs: who decides them, and what their context shows."""

from __future__ import annotations

import pickle
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_loco.core.compat import TaskContext
from django_loco.core.job import SUCCESSFUL, Outcome, error_of, utcnow
from django_loco.core.job.waits import SIGNAL, Wait
from django_loco.exceptions import LostJob
from django_loco.worker.claimed_job import ClaimedJob, Suspended
from django_loco.worker.execution.attempt import Attempt
from django_loco.worker.execution.context import JobContext
from django_loco.worker.execution.preparation import prepare

from .support import claimed_of, held


def test_only_the_first_decides():
    claimed = claimed_of("nothing")
    assert [claimed.is_decided, claimed.decide(), claimed.is_decided, claimed.decide()] == [False, True, True, False]


def test_a_suspension_can_be_sent_to_another_process():
    """It may be the context of an error, all of which ``manage.py test --parallel`` sends."""
    error = Suspended(Wait("paid", SIGNAL, None))
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (copied.wait, str(copied)) == (error.wait, "the job waits for the signal 'paid'")


def test_only_one_of_many_threads_decides():
    for _ in range(200):
        claimed = claimed_of("nothing")
        barrier = threading.Barrier(4)
        winners: list[bool] = []

        def decide(
            claimed: ClaimedJob = claimed, barrier: threading.Barrier = barrier, winners: list[bool] = winners
        ) -> None:
            barrier.wait()
            winners.append(claimed.decide())

        threads = [threading.Thread(target=decide) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(winners) == [False, False, False, True]


@pytest.mark.parametrize("flag", ["expired", "cancelled", "released", "refused"])
def test_a_run_that_is_over_is_stopping(flag):
    claimed = claimed_of("nothing")
    assert not claimed.stopping
    setattr(claimed, flag, True)
    assert claimed.stopping


def test_a_run_that_was_given_up_is_stopping():
    claimed = claimed_of("nothing")
    claimed.decide()
    assert claimed.stopping


def too_late(seconds: float, **fields: Any) -> bool:
    """Whether a job that expires so many seconds from now is too late."""
    return claimed_of("nothing", expires_at=utcnow() + timedelta(seconds=seconds), **fields).is_too_late


def test_a_job_that_has_expired_and_has_not_begun_is_too_late():
    assert not claimed_of("nothing").is_too_late
    assert not too_late(60)
    assert too_late(-1)
    error = error_of(LostJob, "no")
    for begun in ({"lost": 1}, {"checkpoint": "1"}, {"worker_ids": ("w",), "errors": (error,)}):
        assert not too_late(-1, **begun)


def test_the_time_since_the_claim_counts():
    claimed = claimed_of("nothing", expires_at=utcnow() + timedelta(seconds=60))
    claimed.fetched_at -= 61
    assert claimed.is_too_late


def test_a_run_stops_with_its_worker():
    stop = threading.Event()
    claimed = ClaimedJob(held("nothing"), stop)
    assert not claimed.stopping
    stop.set()
    assert claimed.stopping


def context_of(name: str) -> JobContext:
    attempt = prepare(claimed_of(name))
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
    claimed = claimed_of("look_at_limit")
    attempt = prepare(claimed)
    assert isinstance(attempt, Attempt)
    context = JobContext(task_result=attempt.result, claimed=claimed, deadline=datetime.now(UTC), ends_at=0.0)
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
    claimed = claimed_of("nothing")
    for name, value in state.items():
        setattr(claimed, name, value)
    assert claimed.is_alive is is_alive


def test_what_a_run_was_settled_on_outlives_what_comes_after():
    claimed: ClaimedJob = claimed_of("nothing")
    outcome, other = Outcome(job=claimed.job, status=SUCCESSFUL), Outcome.released(claimed.job)
    assert claimed.decide(outcome)
    assert claimed.outcome_or(other) is outcome
    assert claimed_of("nothing").outcome_or(other) is other
    elsewhere = claimed_of("nothing")
    elsewhere.decide()
    assert elsewhere.outcome_or(other) is None
