"""A job without its large fields: its summary for lists and searches, and its call."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from ..compat import TaskResultStatus
from .job import SUCCESSFUL, Job, value


@value
class JobCall:
    """The call of a job, without its state and results. It suffices to rule out most jobs in a search."""

    id: str
    backend: str
    task_path: str
    arguments: str


@value
class JobSummary:
    """The state of a job without the fields that may be large: arguments, return value and tracebacks."""

    id: str
    key: str | None
    status: TaskResultStatus
    run_after: datetime | None
    """The earliest time of its first run, or of the next one after its last attempt."""

    enqueued_at: datetime
    finished_at: datetime | None
    error: str = ""
    """The class of the last error; empty if there was none, or if the job has succeeded."""

    @classmethod
    def of(cls, job: Job) -> JobSummary:
        """Return the summary of ``job``."""
        error = job.errors[-1].exception_class_path if job.errors and job.status != SUCCESSFUL else ""
        return cls(**{name: getattr(job, name) for name in SUMMARY}, error=error)

    @property
    def due_at(self) -> datetime:
        """When it may run."""
        return self.run_after or self.enqueued_at


#: The fields that a summary has in common with its job.
SUMMARY = tuple(field.name for field in fields(JobSummary) if field.name != "error")
