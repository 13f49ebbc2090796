"""What a job becomes before it runs: an attempt, an attempt that fails, or an outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from django_loco.core.job import READY, Job, Outcome, utcnow
from django_loco.exceptions import InvalidSignature
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.attempt import Attempt
from django_loco.worker.execution.preparation import prepare

from ..support import held


def attempt_at(job: Job) -> Attempt:
    attempt = prepare(ClaimedJob(job))
    assert isinstance(attempt, Attempt)
    return attempt


def outcome_of(claimed: ClaimedJob) -> Outcome:
    outcome = prepare(claimed)
    assert isinstance(outcome, Outcome)
    return outcome


def test_an_attempt_has_the_function_and_the_arguments():
    attempt = attempt_at(held("add", 1, 2))
    assert attempt.function is attempt.task.func
    assert attempt.call() == 3


def test_a_job_whose_claim_has_expired_does_not_begin():
    claimed = ClaimedJob(held("nothing"))
    claimed.expired = True
    assert outcome_of(claimed).status == READY
    assert claimed.announcement is None


def test_nor_does_one_that_is_too_late_which_is_announced():
    claimed = ClaimedJob(held("nothing", expires_at=utcnow() - timedelta(seconds=1)))
    assert outcome_of(claimed).kind == "expired"
    assert claimed.announcement is not None


def test_one_whose_task_is_missing_waits_and_says_why():
    claimed = ClaimedJob(held("no_such_task"))
    outcome = outcome_of(claimed)
    assert (outcome.status, outcome.spent) == (READY, False)
    assert claimed.import_error is not None


@pytest.mark.parametrize("broken", [{"arguments": "{"}, {"arguments": "7"}])
def test_one_that_cannot_be_read_fails(broken: dict[str, Any]):
    attempt = attempt_at(replace(held("nothing"), **broken))
    with pytest.raises(ValueError, match="cannot be run as it is stored"):
        attempt.call()


def test_one_without_its_signature_fails_and_its_task_is_not_imported(settings):
    settings.LOCO = {"SIGN": True}
    attempt = attempt_at(held("no_such_task"))
    with pytest.raises(InvalidSignature, match="its signature is missing or wrong"):
        attempt.call()
