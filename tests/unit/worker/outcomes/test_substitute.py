"""The short outcome that is stored in the place of one that is too large."""

from __future__ import annotations

from django_loco.core.job import FAILED, SUCCESSFUL, Outcome
from django_loco.worker.outcomes.substitute import LOG_LEFT_OUT, substitute_for

from ..support import held


def test_an_outcome_with_a_log_is_larger_and_the_log_goes_first():
    held_job = held("nothing")
    outcome = Outcome(job=held_job, status=SUCCESSFUL, return_value="7", log="x" * 1000)
    assert outcome.size == 1001
    short = substitute_for(outcome, None)
    assert (short.status, short.return_value, short.log) == (SUCCESSFUL, "7", LOG_LEFT_OUT)
    small = Outcome(job=held_job, status=SUCCESSFUL, return_value="7" * 5000, log="x" * 1000)
    short = substitute_for(small, None)
    assert (short.status, short.log) == (FAILED, None)
