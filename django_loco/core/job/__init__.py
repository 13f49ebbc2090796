"""The two values that the parts exchange: a ``Job`` on its way to where it runs, and an ``Outcome`` on its way back.

Both do no I/O. A change makes a new value, and only a queue stores it.
"""

from .clock import aware, utcnow
from .ids import first_id, new_id
from .job import (
    CARRY,
    FAILED,
    FIELD_NAMES,
    MAX_LOST,
    MOVING,
    NODE,
    PARENT,
    READY,
    RELEASED,
    REQUEST,
    RERUN,
    RETENTION,
    RUNNING,
    SIGNATURE,
    SUCCESSFUL,
    SUSPECT,
    TRACE,
    UNREADABLE,
    Job,
    changed,
    error_of,
    job_with,
    path_of,
    written_by_run,
)
from .outcome import CANCELLED, DISCARDED, EXPIRED, GIVEN_UP, Outcome
from .summary import SUMMARY, JobCall, JobSummary
from .waits import FOREVER, pending_wait, pending_waits

__all__ = [
    "CANCELLED",
    "CARRY",
    "DISCARDED",
    "EXPIRED",
    "FAILED",
    "FIELD_NAMES",
    "FOREVER",
    "GIVEN_UP",
    "MAX_LOST",
    "MOVING",
    "NODE",
    "PARENT",
    "READY",
    "RELEASED",
    "REQUEST",
    "RERUN",
    "RETENTION",
    "RUNNING",
    "SIGNATURE",
    "SUCCESSFUL",
    "SUMMARY",
    "SUSPECT",
    "TRACE",
    "UNREADABLE",
    "Job",
    "JobCall",
    "JobSummary",
    "Outcome",
    "aware",
    "changed",
    "error_of",
    "first_id",
    "job_with",
    "new_id",
    "path_of",
    "pending_wait",
    "pending_waits",
    "utcnow",
    "written_by_run",
]
