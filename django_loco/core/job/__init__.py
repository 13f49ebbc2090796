"""The values that the parts exchange: a ``Job`` on its way to where it runs, and an ``Outcome`` on its way back.

``JobSummary`` and ``JobCall`` are parts of a job, for those who read many. No value does I/O. A change makes a new one,
and only a queue stores it.
"""

from .clock import FOREVER, aware, utcnow
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
    job_with,
    written_by_run,
)
from .outcome import CANCELLED, DISCARDED, EXPIRED, GIVEN_UP, Outcome, error_of
from .summary import SUMMARY, JobCall, JobSummary
from .waits import pending_wait, pending_waits

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
    "pending_wait",
    "pending_waits",
    "utcnow",
    "written_by_run",
]
