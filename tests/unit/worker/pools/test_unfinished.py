"""The outcomes of jobs that a pool cannot run to their own end."""

from __future__ import annotations

import threading
import time

import pytest

from django_loco.core.job import FAILED, READY, utcnow
from django_loco.exceptions import JobCancelled, JobTimeout
from django_loco.worker.execution.attempt import NOT_BEGUN_DELAY, Attempt
from django_loco.worker.execution.errors import CANCELLED, record_of
from django_loco.worker.execution.preparation import prepare
from django_loco.worker.pools.unfinished import end_unfinished, give_up_stuck
from tests.unit.worker.support import claimed_of


def test_what_could_not_be_begun_waits_for_a_minute_and_costs_no_attempt():
    before = utcnow()
    claimed = claimed_of("nothing")
    outcome = end_unfinished(claimed, MemoryError("no thread"))
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.status, outcome.spent, claimed.announcement) == (READY, False, None)
    assert before + NOT_BEGUN_DELAY <= outcome.run_after <= utcnow() + NOT_BEGUN_DELAY
    assert outcome.error.exception_class is MemoryError


@pytest.mark.parametrize(("name", "status"), [("fail_often", READY), ("fail", FAILED), ("unknown", FAILED)])
def test_an_attempt_that_has_begun_and_has_no_outcome_is_spent(name, status):
    claimed = claimed_of(name)
    claimed.began_at = time.monotonic()
    outcome = end_unfinished(claimed, MemoryError("no memory"))
    assert outcome is not None
    assert (outcome.status, outcome.spent, outcome.run_after is None) == (status, True, status == FAILED)
    assert (claimed.announcement is not None) == (status == FAILED), "receivers hear of the end"


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_job_that_cannot_be_interrupted_fails_and_says_where_it_was(is_cancelled):
    claimed = claimed_of("nothing")
    attempt = prepare(claimed)
    assert isinstance(attempt, Attempt)
    if is_cancelled:
        claimed.cancelled = record_of(JobCancelled(CANCELLED))
    assert claimed.decide()
    outcome = give_up_stuck(attempt, "it was at:\nline 3")
    assert (outcome.status, claimed.outcome, claimed.thread) == (FAILED, outcome, threading.current_thread())
    if not is_cancelled:
        assert outcome.error.exception_class is JobTimeout
        assert "When it was given up, it was at:\nline 3" in outcome.error.traceback
