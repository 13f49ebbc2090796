"""How a run of a job ended."""

from __future__ import annotations

from dataclasses import field, replace
from datetime import datetime
from typing import Any, Literal

from ...exceptions import Discard, JobCancelled, JobExpired, LostJob
from ..compat import TaskError, TaskResultStatus
from ..imports import path_of
from .clock import utcnow
from .job import FAILED, MAX_LOST, READY, SUCCESSFUL, Job, Value, changed, value
from .limits import keys_of

#: How a run ended, in a word: see ``Outcome.kind``.
Kind = Literal["successful", "failed", "cancelled", "expired", "retried", "snoozed", "interrupted"]

#: The paths of the errors of jobs that somebody has cancelled, that have discarded themselves, and that have expired.
CANCELLED, DISCARDED, EXPIRED = path_of(JobCancelled), path_of(Discard), path_of(JobExpired)
#: The errors of jobs that have not failed, but were given up: their state is ``cancelled``.
GIVEN_UP = frozenset((CANCELLED, DISCARDED, EXPIRED))


def error_of(kind: type[BaseException], reason: str) -> TaskError:
    """Return the error of an attempt that has failed for a ``reason`` without raising an exception."""
    path = path_of(kind)
    return TaskError(exception_class_path=path, traceback=f"{path}: {reason}\n")


@value
class Outcome:
    """How a run ended. ``job`` is the job as it was fetched, with its token."""

    job: Job
    status: TaskResultStatus
    """``SUCCESSFUL``, ``FAILED``, or ``READY`` to be run again."""

    at: datetime = field(default_factory=utcnow)
    return_value: str | None = None
    """JSON text, if ``SUCCESSFUL``."""

    error: TaskError | None = None
    run_after: datetime | None = None
    """If ``READY``: the earliest time of the next run; ``None``: the job keeps its place in the order."""

    spent: bool = True
    """Whether the run counts as an attempt."""

    snoozed: bool = False
    """Whether the job itself has put off its next run."""

    waits: bool = False
    """Whether the job waits for a signal. If one was sent to it during the run, it is due at once: see ``woken``."""

    closes: tuple[str, ...] = ()
    """The limit keys to close: no job of these keys begins for ``closed_for`` seconds after the outcome is stored."""

    closed_for: float = 0.0
    gives_back: tuple[str, ...] = ()
    """The limit keys to which the job gives back the start that its fetch has recorded: see ``not_begun``.

    The queue calls ``Limiter.give_back``, with the limits as they are declared or as people have changed them.
    """

    has_begun: bool = True
    """Whether the job has begun in this run: see ``not_begun``."""

    worker_died: bool = False
    """Whether the worker died while it held the job."""

    log: str | None = None
    """The log of the run: JSON text of an object (``worker.execution.kept_log``); ``None``: nothing is kept."""

    errors_kept: int | None = None
    """The number of first and of last attempts whose errors and workers are kept; ``None``: all.

    Errors of the attempts in between are removed, and their worker ids are empty, so that there is one per attempt.
    """

    @classmethod
    def released(cls, job: Job, *, run_after: datetime | None = None, error: TaskError | None = None) -> Outcome:
        """Return the outcome of ``job`` handed back: no attempt is spent; without ``run_after`` it keeps its place."""
        return cls(job=job, status=READY, spent=False, run_after=run_after, error=error)

    @classmethod
    def expired(cls, job: Job) -> Outcome:
        """Return the outcome of ``job``, which has not begun by its ``expires_at``, and never runs."""
        reason = f"the job had not begun by {job.expires_at:%Y-%m-%d %H:%M:%S %Z}, when it expired."
        return cls(job=job, status=FAILED, spent=False, error=error_of(JobExpired, reason))

    @classmethod
    def of_dead_worker(cls, job: Job) -> Outcome:
        """Return the outcome of ``job`` after its lease ran out: ``READY``, or ``FAILED`` after ``MAX_LOST`` deaths.

        A job that cannot be read is ``FAILED`` at once.
        """
        if not job.is_readable:
            return cls(job=job, status=FAILED, spent=False, worker_died=True, error=job.errors[-1])
        if job.lost + 1 < MAX_LOST:
            return cls(job=job, status=READY, spent=False, worker_died=True)
        reason = f"the worker died while it ran this job, {MAX_LOST} times; the last was {job.worker_id}."
        return cls(job=job, status=FAILED, spent=False, worker_died=True, error=error_of(LostJob, reason))

    def not_begun(self) -> Outcome:
        """Return this outcome for a job that was fetched and has not begun: its limits get back the start.

        If the job is handed back, and had not begun in an earlier run either, it counts as not started.
        """
        limit_key = self.job.limit_key
        return replace(self, has_begun=False, gives_back=() if limit_key is None else keys_of(limit_key))

    def woken(self) -> Outcome:
        """Return this outcome of a job that waits, if a signal was sent during the run: it runs again at once."""
        return replace(self, waits=False, run_after=self.at)

    @property
    def kind(self) -> Kind:
        """How the run ended, in the word that statistics and traces use."""
        if self.status == SUCCESSFUL:
            return "successful"
        if self.status == FAILED:
            path = self.error.exception_class_path if self.error else ""
            return "expired" if path == EXPIRED else "cancelled" if path in GIVEN_UP else "failed"
        if self.spent:
            return "retried"
        return "snoozed" if self.snoozed else "interrupted"

    @property
    def size(self) -> int:
        """The approximate size of its stored form in bytes."""
        size = len(self.return_value or "") + len(self.log or "")
        if self.error is not None or self.job.errors:
            size += sum(len(error.traceback) for error in (*self.job.errors, self.error) if error is not None)
        return size

    def applied(self) -> Job:
        """Return the job after this outcome. It is not held by a worker."""
        return changed(self.job, **self.changes())

    def changes(self) -> dict[str, Any]:
        """Return the fields of the job that this outcome sets."""
        job = self.job
        # A job that is handed back repeatedly for the same reason stores the reason once.
        is_repeated = not self.spent and job.errors[-1:] == (self.error,)
        errors = () if self.error is None or is_repeated else (self.error,)
        worker_ids = (job.worker_id or "",) if self.spent else ()
        is_new = self.status == READY and not self.has_begun and job.started_at == job.last_attempted_at
        # The fetch has freed a unique key that is held until the start. Another job may hold it by now.
        has_started = not is_new or job.unique_until == "started"
        return {
            "status": self.status,
            "token": None,
            "worker_id": None,
            "run_after": self.run_after or job.run_after,
            "started_at": job.started_at if has_started else None,
            "last_attempted_at": job.last_attempted_at if has_started else None,
            "finished_at": self.at if self.status != READY else None,
            "worker_ids": _ends((*job.worker_ids, *worker_ids), self.errors_kept, between=("",)),
            "errors": _ends((*job.errors, *errors), self.errors_kept),
            "lost": job.lost + self.worker_died,
            "return_value": self.return_value,
            "checkpoint": None if self.status == SUCCESSFUL else job.checkpoint,
        }


def _ends(items: tuple[Value, ...], kept: int | None, *, between: tuple[Value, ...] = ()) -> tuple[Value, ...]:
    """Return the first and the last ``kept`` of ``items``, with ``between`` in place of each removed item."""
    if kept is None or len(items) <= 2 * kept:
        return items
    return (*items[:kept], *between * (len(items) - 2 * kept), *items[-kept:])
