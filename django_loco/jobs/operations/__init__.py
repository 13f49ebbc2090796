"""The operations on a job: each returns a ``Change`` or an ``Outcome``, which a queue stores.

``cancel``
    A waiting job fails with ``JobCancelled`` and never runs. A running job fails, too: the queue takes it from its
    worker, which notices that it no longer holds the job.
``discard``
    Gives up a waiting job, like ``cancel``, or a failed one. The last error of a failed job becomes ``JobCancelled``,
    so that it is ``cancelled`` rather than ``failed``, and nobody looks at it again. Its history stays until it is
    pruned.
``retry``
    Makes a failed or cancelled job ready again, due at the time of the operation, so that it comes after the jobs that
    wait already. Its history stays, so it has spent its attempts: it runs once more, also if it has expired. A node of
    a workflow waits for its upstream nodes again, see ``workflows.retrying``.
``delete``
    Deletes a waiting or finished job.
``run_now``
    Makes a job that waits for a later time due at the time of the operation. Only pages use it:
    ``update(run_after=...)`` does the same, for jobs in more states.
``move``, ``update``
    Change a job that waits, or has failed and may be retried.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ...conf import loco_settings
from ...core.job import FAILED, READY, RERUN, RUNNING, Job, Outcome, changed, error_of, pending_wait, utcnow
from ...exceptions import InvalidState, JobCancelled
from ...queues.base import Change
from ..states import State, state_of
from ..stores import backend_of
from .workflows.nodes import again, waits_for_nodes

UNFINISHED: Collection[State] = ("waiting", "scheduled", "retrying")
#: The states of jobs that are neither running nor done.
EDITABLE: Collection[State] = (*UNFINISHED, "failed", "cancelled")
#: Why hardly anything can be done with a job that ``is_moving``: the other store may run it, too.
MOVES = "is on its way to another store, or there already, so here it can only be cancelled or deleted"


class Operation(Protocol):
    """An operation that is done to each of several jobs."""

    @property
    def name(self) -> str:
        """The verb."""

    @property
    def past(self) -> str:
        """Its past participle."""

    @property
    def states(self) -> Collection[State]:
        """The operation is possible in these states. Jobs in other states are left alone."""

    @property
    def makes_due(self) -> bool:
        """Whether it decides when jobs run. Jobs that wait for more than a time are left alone."""

    def require_backend(self, alias: str) -> None:
        """Raise ``InvalidState`` or ``ValueError`` if it cannot be done with any job of an alias in ``TASKS``."""

    def of(self, job: Job) -> Change | Outcome:
        """Return what the queue has to store. The alias of ``job`` has passed ``require_backend``."""


def is_possible(operation: Operation, job: Job) -> bool:
    """Return whether ``operation`` can be done with ``job`` as it is now."""
    return not _hindrance(operation, job) and state_of(job, utcnow()) in operation.states


def require(operation: Operation, job: Job) -> None:
    """Raise ``InvalidState`` if ``operation`` cannot be done with ``job`` as it is now."""
    if hindrance := _hindrance(operation, job):
        raise InvalidState(f"Job {job.id} {hindrance}.")
    state = state_of(job, utcnow())
    if state not in operation.states:
        raise InvalidState(
            f"Job {job.id} ({job.task_path}) is {state}, so it cannot be {operation.past}. "
            f"{operation.name}() takes jobs that are {', '.join(operation.states)}."
        )


def _hindrance(operation: Operation, job: Job) -> str:
    """Return why ``operation`` is not possible with ``job`` in any state; empty if it is possible."""
    if isinstance(operation, Delete):
        return ""
    if not job.is_readable:
        return "cannot be read as it is stored, so it can only be deleted"
    if job.is_moving and not isinstance(operation, Cancel):
        return MOVES
    if operation.makes_due and waits_for_more(job):
        return "waits for a signal, for the end of a sleep, or for other jobs, so it cannot be made due"
    return ""


def waits_for_more(job: Job) -> bool:
    """Return whether ``job`` waits for more than a time: if made due, it would wait again, or miss an event."""
    return waits_for_nodes(job) or pending_wait(job) is not None or isinstance(job.options.get(RERUN), dict)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Makes jobs fail as ``JobCancelled``."""

    by: str = ""
    """The name of the person who cancels, for the text of the error."""

    name: str = "cancel"
    past: str = "cancelled"
    states: Collection[State] = (*UNFINISHED, "running")
    makes_due: bool = False

    def require_backend(self, alias: str) -> None:
        """Do nothing."""

    def of(self, job: Job) -> Change | Outcome:
        """Return the end of ``job``. A running job has spent an attempt."""
        error = error_of(JobCancelled, f"{self.past} by {self.by}" if self.by else self.past)
        outcome = Outcome(
            job=job,
            status=FAILED,
            at=job.finished_at or utcnow(),  # a failed job keeps the time of its failure, by which it is pruned
            spent=job.status == RUNNING,
            error=error,
            errors_kept=loco_settings().ERRORS_KEPT,
        )
        if job.status == RUNNING:
            return outcome
        return Change(before=job, after=outcome.applied())


@dataclass(frozen=True, slots=True)
class GiveUp(Cancel):
    """Gives up jobs that wait or have failed."""

    name: str = "discard"
    past: str = "discarded"
    states: Collection[State] = (*UNFINISHED, "failed")


@dataclass(frozen=True, slots=True)
class Retry:
    """Makes jobs that have failed or were cancelled ready again."""

    at: datetime = field(default_factory=utcnow)
    name: str = "retry"
    past: str = "retried"
    states: Collection[State] = ("failed", "cancelled")
    makes_due: bool = False

    def require_backend(self, alias: str) -> None:
        """Raise ``InvalidState`` if no worker would run the jobs."""
        if not backend_of(alias).runs_stored_jobs:
            raise InvalidState(
                f"TASKS[{alias!r}] runs jobs inside enqueue(), so nothing would run those that are ready again. "
                "Use jobs.run_again()."
            )

    def of(self, job: Job) -> Change:
        """Return the change."""
        ready = changed(job, status=READY, run_after=self.at, expires_at=None, finished_at=None)
        return Change(before=job, after=again(ready))


@dataclass(frozen=True, slots=True)
class RunNow:
    """Makes jobs that wait for a later time due."""

    at: datetime = field(default_factory=utcnow)
    name: str = "run_now"
    past: str = "made due"
    states: Collection[State] = ("scheduled", "retrying")
    makes_due: bool = True

    def require_backend(self, alias: str) -> None:
        """Do nothing."""

    def of(self, job: Job) -> Change:
        """Return the change."""
        return Change(before=job, after=changed(job, run_after=self.at))


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletes jobs that do not run."""

    name: str = "delete"
    past: str = "deleted"
    states: Collection[State] = (*EDITABLE, "done")
    makes_due: bool = False

    def require_backend(self, alias: str) -> None:
        """Do nothing."""

    def of(self, job: Job) -> Change:
        """Return the change."""
        return Change(before=job, after=None)
