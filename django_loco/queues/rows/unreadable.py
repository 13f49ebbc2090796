"""Jobs whose stored form cannot be read, because somebody has edited the store.

A queue shows such a job as ``UNREADABLE``, with the reason as its last error. It never hands one to a worker. When it
fetches or rescues such a job, that job fails, and other jobs are not affected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from ...core.compat import TaskError
from ...core.imports import path_of
from ...core.job import FAILED, Job, Outcome
from ...log.plain_text import one_line
from ...log.safe import get_logger

logger = get_logger("django_loco.queues")

#: The exceptions that text in an unknown form may raise when it is read.
NOT_OURS = (ValueError, TypeError, LookupError, OverflowError, RecursionError)
#: The ``enqueued_at`` of a job if the stored one cannot be read.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def texts(values: object) -> tuple[str, ...]:
    """Return a list of texts, decoded from JSON, as a tuple. Raises ``TypeError`` for other values."""
    if not isinstance(values, list) or not {str}.issuperset(map(type, values)):
        raise TypeError("it is not a list of texts")
    return tuple(values)


def record_of(error: Exception, where: str) -> TaskError:
    """Return the error of a job that could not be read; ``where`` says where it is stored."""
    reason = f"{type(error).__name__}: the job cannot be read as it is stored in {where}: {error}\n"
    return TaskError(exception_class_path=path_of(type(error)), traceback=reason)


def split(jobs: Iterable[Job]) -> tuple[list[Job], list[Job]]:
    """Return the readable jobs, and the unreadable ones."""
    readable: list[Job] = []
    unreadable: list[Job] = []
    for job in jobs:
        (readable if job.is_readable else unreadable).append(job)
    return readable, unreadable


def outcomes_of(alias: str, unreadable: Sequence[Job]) -> list[Outcome]:
    """Log held jobs that cannot be read, and return outcomes that fail them."""
    _log(alias, unreadable)
    return [Outcome(job=job, status=FAILED, spent=False, error=job.errors[-1]) for job in unreadable]


def readable(alias: str, jobs: Iterable[Job]) -> list[Job]:
    """Return the ``jobs`` that can be read, and log that the others have failed."""
    can_be_read, unreadable = split(jobs)
    _log(alias, unreadable)
    return can_be_read


def _log(alias: str, unreadable: Iterable[Job]) -> None:
    for job in unreadable:
        logger.error("Job %s of TASKS[%r] fails. %s", job.id, alias, one_line(job.errors[-1].traceback.strip()))
