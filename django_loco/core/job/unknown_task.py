"""Since when the task of a job has been missing: a line of the error that is stored with the job."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from ..compat import TaskError
from .job import Job

_SINCE = re.compile(r"^This task has been missing since (\S+)\.$", re.MULTILINE)


def unknown_since(job: Job) -> datetime | None:
    """Return the time since which the task of ``job`` has been missing; ``None`` if it is not known to be missing."""
    found = _SINCE.search(job.errors[-1].traceback) if job.errors else None
    try:
        since = found and datetime.fromisoformat(found[1])
    except ValueError:
        return None
    return since if since and since.tzinfo else None


def without_record(job: Job) -> Job:
    """Return ``job`` without the error that says that its task is missing: a worker with the task begins to run it."""
    return job if unknown_since(job) is None else replace(job, errors=job.errors[:-1])


def with_time(record: TaskError, since: datetime) -> TaskError:
    """Return ``record``, which says why a task cannot be imported, with the time that ``unknown_since`` reads."""
    return replace(record, traceback=f"{record.traceback}This task has been missing since {since.isoformat()}.\n")
