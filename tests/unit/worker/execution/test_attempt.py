"""A job that ends early by ``Interrupted``: when it is offered again."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from django_loco.core.job import READY, Outcome, utcnow
from django_loco.exceptions import Interrupted
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.attempt import INTERRUPTION_DELAY, Attempt, prepare

from ..support import held


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def interrupted(stop: threading.Event) -> Outcome:
    attempt = prepare(ClaimedJob(held("nothing"), stop))
    assert isinstance(attempt, Attempt)
    return attempt.failed(Interrupted())


def test_at_once_if_the_worker_is_stopping(stop):
    stop.set()
    outcome = interrupted(stop)
    assert outcome.status == READY
    assert outcome.run_after is None
    assert not outcome.spent


def test_after_a_pause_if_there_was_no_reason_to_end(stop):
    """Else a job that always interrupts itself would keep its worker busy."""
    before = utcnow()
    outcome = interrupted(stop)
    assert outcome.status == READY
    assert not outcome.spent
    assert outcome.run_after is not None
    assert before + INTERRUPTION_DELAY <= outcome.run_after <= utcnow() + INTERRUPTION_DELAY + timedelta(seconds=1)
