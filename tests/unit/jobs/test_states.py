"""The state of a job in one word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, error_of, utcnow
from django_loco.exceptions import JobCancelled, JobTimeout
from django_loco.jobs.states import STATES, STATUS_OF, state_of

NOW = utcnow()
JOB = Job(task_path="shop.tasks.send", backend="default")
CANCELLED, TOO_SLOW = error_of(JobCancelled, "cancelled"), error_of(JobTimeout, "too slow")


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("waiting", {}),
        ("waiting", {"run_after": NOW}),
        ("waiting", {"run_after": NOW - timedelta(1), "worker_ids": ("w",), "errors": (TOO_SLOW,)}),
        ("scheduled", {"run_after": NOW + timedelta(1)}),
        ("retrying", {"run_after": NOW + timedelta(1), "worker_ids": ("w",)}),
        ("running", {"status": RUNNING, "run_after": NOW + timedelta(1)}),
        ("failed", {"status": FAILED}),
        ("failed", {"status": FAILED, "errors": (CANCELLED, TOO_SLOW)}),
        ("cancelled", {"status": FAILED, "errors": (TOO_SLOW, CANCELLED)}),
        ("done", {"status": SUCCESSFUL, "errors": (CANCELLED,)}),
    ],
)
def test_each_state(state, fields):
    job = replace(JOB, **fields)
    assert state_of(job, NOW) == state
    assert job.status == STATUS_OF[state]


def test_each_state_has_a_status():
    assert tuple(STATUS_OF) == STATES
    assert set(STATUS_OF.values()) == {READY, RUNNING, FAILED, SUCCESSFUL}
