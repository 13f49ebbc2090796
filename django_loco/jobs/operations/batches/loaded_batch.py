"""Batches as they were loaded: their states and counts, and operations on all members."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from asgiref.sync import sync_to_async

from ....core.job import Job
from ....core.on_commit import SinceThen
from ....core.serialization import decode
from ....exceptions import BatchDoesNotExist, InvalidState
from ....queues.records.batches import WORKFLOW, BatchCounts, BatchRecord
from ...stores import JobBackend
from .. import Cancel, Operation, Retry
from ..attribute_hints import Hinted
from ..workflows.retrying import retry_failed
from .settling import settle

#: ``open``: it is being filled. ``sealed``: it finishes with its last member. ``cancelled``: the same, and it takes no
#: more jobs. ``finished``: its callbacks are enqueued, or are about to be.
BatchState = Literal["open", "sealed", "cancelled", "finished"]
#: The number of jobs that are stored, or operated on, in one call.
CHUNK = 1_000


class LoadedBatch(Hinted):
    """The part of ``Batch`` that needs a stored batch. Its state and counts are as they were when it was loaded."""

    hinted_as = "batch"

    id: str
    name: str
    backend: str
    """The alias in ``TASKS`` of all its jobs."""

    _backend: JobBackend
    _record: BatchRecord
    _stored: SinceThen | None
    """The transactions that were open when it was stored; ``None`` before."""

    @property
    def record(self) -> BatchRecord:
        """Its stored record."""
        return self._record

    @property
    def metadata(self) -> dict[str, Any]:
        """A new copy of the ``metadata`` that it was given."""
        metadata: dict[str, Any] = decode(self._record.metadata)
        return metadata

    @property
    def state(self) -> BatchState:
        """``"open"``: it is being filled. ``"sealed"``: it finishes with its last member. Then ``"finished"``.

        ``"cancelled"``: it takes no more members, and finishes when those that run have ended.
        """
        record = self._record
        if record.finished_at is not None:
            return "finished"
        if record.cancelled_at is not None:
            return "cancelled"
        return "open" if record.sealed_at is None else "sealed"

    @property
    def counts(self) -> BatchCounts:
        """How many members it has (``total``), and how many ``succeeded``, ``failed``, ``cancelled``, are ``left``.

        Those that were deleted count as cancelled.
        """
        return self._record.counts

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return self._record.created_at

    @property
    def finished_at(self) -> datetime | None:
        """When its last member had ended."""
        return self._record.finished_at

    def refresh(self) -> None:
        """Load the present state and counts. Raises ``BatchDoesNotExist``."""
        if (record := self._backend.queue.get_batch(self.id)) is None:
            raise BatchDoesNotExist(f"There is no {self._record.kind} {self.id} in TASKS[{self.backend!r}] any more.")
        self._load(record)

    async def arefresh(self) -> None:
        """``refresh`` for async code."""
        await sync_to_async(self.refresh, thread_sensitive=True)()

    def cancel(self, *, by: str = "") -> int:
        """Cancel all members that wait or run, and take no more; return how many. It finishes when they have ended.

        ``by`` names who does it. Raises ``InvalidState`` if the batch has finished.
        """
        queue = self._backend.queue
        if not queue.seal_batch(self.id, is_cancelled=True):
            raise InvalidState(f"{self._record.kind.capitalize()} {self.id} has finished, or is not there any more.")
        number = self._do(Cancel(by), "left")
        self.settle()
        return number

    def retry(self) -> int:
        """Make all members that have failed or were cancelled ready again; return how many.

        If the batch has finished, another round of it begins: when its members have ended, its callbacks are enqueued
        once more. Members that were pruned meanwhile do not count any more. The members of a workflow keep their order.
        """
        self.settle()
        if self._record.kind == WORKFLOW:
            number = retry_failed(self._backend.queue, self.id)
        else:
            number = self._do(Retry(), "failed")
        self.settle()
        return number

    def settle(self) -> None:
        """Finish it now if no member is left, and enqueue what follows."""
        settle(self._backend.queue, [self.id], store_jobs=self._backend.store_keyed)

    def _load(self, record: BatchRecord) -> None:
        self.id, self.name, self._record = record.id, record.name, record
        self._stored = self._stored or SinceThen()

    def _do(self, operation: Operation, kind: str) -> int:
        """Do ``operation`` with the members of a kind. ``Unfinished`` has the number of all that were changed."""
        from ..bulk import BulkRun  # noqa: PLC0415 - every process with tasks imports this module, and few operate jobs

        return BulkRun(operation).over(self._members(kind))

    def _members(self, kind: str) -> Iterator[Job]:
        from ...api import filter  # noqa: A004, PLC0415 - its public name; as above

        after = ""
        while ids := [*self._backend.queue.batch_members(self.id, kind, after=after, limit=CHUNK)]:
            yield from filter(id=ids, backend=self.backend)
            after = ids[-1]
