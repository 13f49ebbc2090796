"""The state of a job in one word, as filters, commands and pages use it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args

from ..core.compat import TaskError, TaskResultStatus
from ..core.job import CANCELLED, FAILED, GIVEN_UP, READY, RUNNING, SUCCESSFUL, Job

State = Literal["waiting", "scheduled", "retrying", "running", "failed", "cancelled", "done"]

STATES: tuple[State, ...] = get_args(State)
#: The stored status of a job in each state.
STATUS_OF: Mapping[State, TaskResultStatus] = {
    "waiting": READY,
    "scheduled": READY,
    "retrying": READY,
    "running": RUNNING,
    "failed": FAILED,
    "cancelled": FAILED,
    "done": SUCCESSFUL,
}


def state_of(job: Job, now: datetime) -> State:
    """Return the state of ``job`` at the time ``now``, which must be aware.

    ``waiting``: it may run. ``scheduled``: it may run later, for the first time. ``retrying``: it may run later, after
    an attempt that failed. ``cancelled``: somebody has cancelled or discarded it, or it has discarded itself
    or expired.
    """
    if job.status == READY:
        if job.run_after is None or job.run_after <= now:
            return "waiting"
        return "retrying" if job.worker_ids else "scheduled"
    if job.status == RUNNING:
        return "running"
    if job.status == SUCCESSFUL:
        return "done"
    return "cancelled" if job.errors and job.errors[-1].exception_class_path in GIVEN_UP else "failed"


def cancellation_of(job: Job | None) -> TaskError | None:
    """Return the error of a job that has failed because somebody cancelled it; ``None`` for any other job."""
    if job is None or job.status != FAILED or not job.errors:
        return None
    return job.errors[-1] if job.errors[-1].exception_class_path == CANCELLED else None
