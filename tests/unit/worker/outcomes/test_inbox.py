"""Where pools put outcomes."""

from __future__ import annotations

import pytest

from django_loco.core.job import READY, SUCCESSFUL, Outcome
from django_loco.worker.outcomes.inbox import OutcomeInbox

from ..support import claimed_of


@pytest.fixture
def finished() -> OutcomeInbox:
    return OutcomeInbox()


def test_the_first_outcome_of_a_run_counts(finished):
    claimed = claimed_of("nothing")
    for status in (SUCCESSFUL, READY):
        finished.add(claimed, Outcome(job=claimed.job, status=status))
    assert [outcome.status for _, outcome in finished.take()] == [SUCCESSFUL]
