"""Batches: jobs that belong together, and the jobs that follow when all of them have ended.

A batch is *open* while jobs can be added and is never finished in that state; ``seal_batch`` says that it is filled.
From then on it finishes as soon as no member waits or runs. Members may still add members until then.

Members are a set, and not a counter: whether a batch has finished follows from the states of its members. So an outcome
that is stored twice, a job that is rescued, retried, cancelled or deleted, and a process that is killed between two
steps cannot make the number wrong. ``settle_batches`` looks at that set. It is called after members have ended, and
for all batches now and then, because a process may have died before it called this.

A batch that has finished has *callbacks*, which are jobs. ``settle_batches`` returns it until ``note_called`` says that
they are enqueued. They have once-keys, so that there is one job for each, however often they are enqueued. A batch is
pruned after its callbacks have ended, too, because they read it.

A member of a finished batch that is made ready again (``Queue.change``) begins the next *round*: the batch no longer
counts as finished, is sealed, and takes jobs. The member and the batch are changed in one step. So even if a process is
killed, no finished batch has an unfinished member.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from ...core.job import FAILED, GIVEN_UP, READY, RUNNING, SUCCESSFUL, Job, utcnow
from ...core.job.job import value
from ...exceptions import BatchFinished, QueueRefused

#: The states of a member that has ended.
ENDED = (SUCCESSFUL, FAILED)
#: The kinds of records. They are stored.
BATCH, WORKFLOW = "batch", "workflow"
#: The events that jobs follow. They are stored.
EVENTS = ("success", "failure", "finish")
#: The standing of a member: it waits or runs (``left``), or has ended in one of three ways.
Standing = Literal["left", "succeeded", "failed", "cancelled"]
_PREFIX = "batch"


class BatchCounts(NamedTuple):
    """How many members a batch has, and how many have ended in each way."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    """Members that were cancelled, discarded or deleted, or have expired."""

    @property
    def left(self) -> int:
        """How many wait or run."""
        return max(0, self.total - self.succeeded - self.failed - self.cancelled)


@value
class BatchRecord:
    """A batch as a queue stores it."""

    id: str
    backend: str
    name: str = ""
    callbacks: str = "{}"
    """JSON text of an object: the jobs to enqueue by the names of events. Queues do not read it."""

    metadata: str = "{}"
    """JSON text of an object."""

    kind: str = BATCH
    """Whether it is a batch, or the batch of the nodes of a workflow."""

    created_at: datetime
    sealed_at: datetime | None = None
    cancelled_at: datetime | None = None
    finished_at: datetime | None = None
    called_at: datetime | None = None
    """When its callbacks were enqueued."""

    round: int = 1
    """How often it was opened. The callbacks of each round have once-keys of their own."""

    counts: BatchCounts = BatchCounts()
    """If the batch has finished, the counts at its end."""


def new_record(batch_id: str, backend: str, name: str, callbacks: str, metadata: str) -> BatchRecord:
    """Return a batch that is made now."""
    return BatchRecord(
        id=batch_id, backend=backend, name=name, callbacks=callbacks, metadata=metadata, created_at=utcnow()
    )


def standing_of(job: Job) -> Standing:
    """Return the standing of a member."""
    if job.status in (READY, RUNNING):
        return "left"
    if job.status != FAILED:
        return "succeeded"
    return "cancelled" if job.errors and job.errors[-1].exception_class_path in GIVEN_UP else "failed"


def batches_of(jobs: Sequence[Job]) -> dict[str, int]:
    """Return the ids of the batches of ``jobs``, in order, each with the number of its members among them."""
    found: dict[str, int] = {}
    for job in jobs:
        if job.batch is not None:
            found[job.batch] = found.get(job.batch, 0) + 1
    return dict(sorted(found.items()))


def key_of(batch_id: str, number: int | str, event: str) -> str:
    """Return the once-key of the job that follows in one round of a batch."""
    return f"{_PREFIX}:{batch_id}:{number}:{event}"


def followed_by(job: Job) -> str | None:
    """Return the id of the batch that ``job`` follows; ``None`` if there is none."""
    prefix, _, rest = (job.key or "").partition(":")
    return rest.partition(":")[0] if prefix == _PREFIX else None


def reopened_by(before: Job, after: Job | None) -> str | None:
    """Return the id of the batch of a job that has ended, if a change makes it ready again; else ``None``."""
    return after.batch if after is not None and after.status == READY and before.status in ENDED else None


def refusal(batch_id: str) -> BatchFinished:
    """Return the error of a job that a batch does not take."""
    return BatchFinished(
        f"Batch or workflow {batch_id} takes no more jobs: it has finished, was cancelled, or is not in this store. "
        "Nothing was stored. Make another one for these jobs."
    )


class Batches:
    """The methods of a queue for batches. By default it has none, and refuses them."""

    def open_batch(self, batch: BatchRecord) -> None:  # noqa: ARG002
        """Store a new batch; do nothing if it is there. Part of the caller's transaction, as ``enqueue`` is.

        From then on ``enqueue`` takes jobs with its id as their ``batch``, until it has finished or was cancelled.
        After that, ``enqueue`` raises ``BatchFinished``, and stores nothing.
        """
        raise QueueRefused(f"{type(self).__name__} has no batches: it lacks open_batch() and the methods beside it.")

    def restore_batch(self, batch: BatchRecord) -> None:  # noqa: ARG002
        """Store a batch of another store as it is, before its members are restored; keep an existing one.

        If the existing one is not sealed, and ``batch`` is, it is sealed, and the total of ``batch`` is added. So an
        unfinished batch takes two calls: the first with an unsealed batch without members; the last, when the members
        are stored, with a sealed one. In between the batch does not finish.
        """
        raise QueueRefused(f"{type(self).__name__} cannot store batches of another store: it has no restore_batch().")

    def get_batch(self, batch_id: str) -> BatchRecord | None:  # noqa: ARG002
        """Return a batch with its counts as they are now; ``None`` if it is not there, or was pruned."""
        return None

    def list_batches(self, *, before: str | None = None, limit: int = 100) -> Sequence[BatchRecord]:  # noqa: ARG002
        """Return batches with ids below ``before``, the newest first; without counts unless they have finished."""
        return ()

    def count_batches(self, batches: Sequence[BatchRecord]) -> Sequence[BatchRecord]:
        """Return ``batches`` with their present counts, in few round trips. A batch that is gone stays as it is."""
        return [each if each.finished_at is not None else self.get_batch(each.id) or each for each in batches]

    def batch_members(self, batch_id: str, kind: str, *, after: str = "", limit: int = 1000) -> Sequence[str]:  # noqa: ARG002
        """Return the ids of stored members above ``after``, in order.

        ``kind`` is ``"left"``: they wait or run; ``"failed"``: they have failed or were cancelled; or ``"succeeded"``.
        """
        return ()

    def seal_batch(self, batch_id: str, *, is_cancelled: bool = False) -> bool:  # noqa: ARG002
        """Record that a batch is filled; with ``is_cancelled`` also that it takes no more jobs from now on.

        Returns whether it is there and has not finished.
        """
        return False

    def settle_batches(self, ids: Sequence[str] | None = None, members: Sequence[Job] = ()) -> Sequence[BatchRecord]:  # noqa: ARG002
        """Finish the sealed batches that have no member left; return finished ones whose callbacks are not enqueued.

        ``ids`` are the batches to look at; ``None``: all, but one call may look at only some. ``members`` have just
        ended, or changed otherwise: a queue that keeps a list of members looks at these first. So code that ends
        members with ``change`` has to call this: until then ``batch_members`` and the counts may be as before the
        change.
        """
        return ()

    def note_called(self, batch: BatchRecord) -> bool | None:  # noqa: ARG002
        """Record that the callbacks of this round of a batch are enqueued.

        Returns whether this call has recorded it: ``False`` if another round has begun, or somebody else has recorded
        it before. ``None``: the queue does not tell.
        """
        return None
