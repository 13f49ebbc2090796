"""Where pools put outcomes."""

from __future__ import annotations

import pytest

from django_loco.core.job import READY, SUCCESSFUL, Outcome
from django_loco.worker.outcome_inbox import Finished
from tests.unit.worker.support import run_of


@pytest.fixture
def finished() -> Finished:
    return Finished()


def test_the_first_outcome_of_a_run_counts(finished):
    run = run_of("nothing")
    for status in (SUCCESSFUL, READY):
        finished.add(run, Outcome(job=run.job, status=status))
    assert [outcome.status for _, outcome in finished.take()] == [SUCCESSFUL]
