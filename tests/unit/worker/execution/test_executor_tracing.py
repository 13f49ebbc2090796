"""Attempts that end in other ways than by the return of their function."""

from __future__ import annotations

from contextvars import Context

import pytest

from django_loco.exceptions import JobTimeout
from django_loco.log import tracing
from django_loco.worker.execution.attempt import Attempt
from django_loco.worker.execution.executor import give_up
from django_loco.worker.execution.preparation import prepare
from django_loco.worker.pools.inline import run_inline

from ..support import claimed_of, job


@pytest.mark.parametrize("name", ["spin", "asleep"])
def test_a_job_that_reaches_its_time_limit(name, queue, traced):
    run_inline(queue, job(name))
    [span] = traced.get_finished_spans()
    assert (span.attributes["loco.outcome"], span.attributes["error.type"]) == (
        "failed",
        "django_loco.exceptions.JobTimeout",
    )


def test_a_job_that_is_given_up_ends_its_span_once(traced, caplog):
    claimed = claimed_of("nothing")
    attempt = prepare(claimed)
    assert isinstance(attempt, Attempt)
    claimed.span = Context().run(tracing.start, claimed.job)
    assert claimed.decide()
    error = JobTimeout("it hangs")
    error.add_note("It was at line 7.")
    outcome = Context().run(give_up, attempt, error)
    assert not attempt.decide(outcome)  # its own thread comes back later
    [span] = traced.get_finished_spans()
    assert (span.attributes["loco.outcome"], span.events[0].attributes["exception.message"]) == ("failed", "it hangs")
    assert "ended span" not in caplog.text


def test_an_attempt_that_does_not_begin_has_no_span(queue, traced):
    run_inline(queue, job("gone"))
    assert traced.get_finished_spans() == ()
