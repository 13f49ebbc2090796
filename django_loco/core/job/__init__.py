"""The two values that the parts exchange: a ``Job`` on its way to where it runs, and an ``Outcome`` on its way back.

Both do no I/O. A change makes a new value, and only a queue stores it.
"""

from .job import (
    CARRY,
    FAILED,
    MAX_LOST,
    MOVING,
    PARENT,
    READY,
    REQUEST,
    RUNNING,
    SIGNATURE,
    SUCCESSFUL,
    SUMMARY,
    SUSPECT,
    TRACE,
    UNREADABLE,
    Job,
    JobSummary,
    error_of,
    first_id,
    new_id,
    path_of,
    utcnow,
    written_by_run,
)
from .outcome import CANCELLED, DISCARDED, EXPIRED, GIVEN_UP, Outcome
from .waits import FOREVER, pending_wait

__all__ = [
    "CANCELLED",
    "CARRY",
    "DISCARDED",
    "EXPIRED",
    "FAILED",
    "FOREVER",
    "GIVEN_UP",
    "MAX_LOST",
    "MOVING",
    "PARENT",
    "READY",
    "REQUEST",
    "RUNNING",
    "SIGNATURE",
    "SUCCESSFUL",
    "SUMMARY",
    "SUSPECT",
    "TRACE",
    "UNREADABLE",
    "Job",
    "JobSummary",
    "Outcome",
    "error_of",
    "first_id",
    "new_id",
    "path_of",
    "pending_wait",
    "utcnow",
    "written_by_run",
]
