"""The batches of a queue in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....core.job import FAILED, Job, utcnow
from ...records.batches import (
    WORKFLOW,
    BatchCounts,
    Batches,
    BatchRecord,
    Standing,
    followed_by,
    refusal,
    standing_of,
)
from ...rows.forms import digits_of


class BatchTable:
    """The batches, and the state of each member. A plain data structure, for one thread at a time."""

    def __init__(self) -> None:
        self.records: dict[str, BatchRecord] = {}
        self._members: dict[str, dict[str, Standing]] = {}
        self._standings: dict[str, Counter[Standing]] = {}
        self._followers: dict[str, set[str]] = {}
        """By batch, the ids of the jobs that follow it, and have not ended."""

    def open(self, record: BatchRecord) -> None:
        """Add a batch without members, if it is not there."""
        if record.id not in self.records:
            self.records[record.id] = record
            self._members[record.id], self._standings[record.id] = {}, Counter()

    def restore(self, record: BatchRecord) -> None:
        """Add a batch as it is, or seal the one that is there."""
        if record.id not in self.records:
            self.open(record)
        elif self.records[record.id].sealed_at is None:
            self.update(record.id, sealed_at=record.sealed_at)

    def going_on(self) -> list[BatchRecord]:
        """Return the batches that have not finished, or whose callbacks have not ended."""
        return [record for record in self.records.values() if self._goes_on(record)]

    def standings(self, batch_id: str) -> dict[str, Standing]:
        """Return the standing of each member."""
        return self._members[batch_id].copy()

    def merge(self, record: BatchRecord, members: Mapping[str, Standing]) -> None:
        """Add a batch of another process, or what that one knows of a batch that is there: the later state counts."""
        self.open(record)
        known, found = self.records[record.id], self._members[record.id]
        self.records[record.id] = max(known, record, key=_progress)
        for job_id, standing in members.items():
            if record.round > known.round or found.get(job_id, "left") == "left":
                found[job_id] = standing
        self._standings[record.id] = Counter(found.values())

    def give_up_lost(self, batch_id: str, is_stored: Callable[[str], object]) -> None:
        """Record that the members that have not ended, and are not stored, were cancelled."""
        members = self._members.get(batch_id, {})
        for job_id, standing in members.items():
            if standing == "left" and not is_stored(job_id):
                members[job_id] = "cancelled"
                self._standings[batch_id].update(left=-1, cancelled=1)

    def require_open(self, jobs: Sequence[Job]) -> None:
        """Raise ``BatchFinished`` if the batch of a job takes no more jobs."""
        for job in jobs:
            if job.batch is None:
                continue
            record = self.records.get(job.batch)
            if record is None or record.finished_at or record.cancelled_at:
                raise refusal(job.batch)

    def note(self, job: Job, *, is_gone: bool = False) -> None:
        """Record the state of a member; with ``is_gone`` it was deleted, which means cancelled unless it had ended."""
        members = self._members.get(job.batch or "")
        if members is None or job.batch is None:
            return
        before, now = members.get(job.id), standing_of(job)
        if is_gone:
            now = "cancelled" if before in (None, "left") else before
        if before is not None:
            self._standings[job.batch][before] -= 1
        members[job.id] = now
        self._standings[job.batch][now] += 1

    def note_follower(self, job: Job, *, is_gone: bool = False) -> None:
        """If ``job`` follows a batch, record whether it waits or runs."""
        if (batch_id := followed_by(job)) is None:
            return
        if standing_of(job) == "left" and not is_gone:
            self._followers.setdefault(batch_id, set()).add(job.id)
        elif found := self._followers.get(batch_id):
            found.discard(job.id)
            if not found:
                del self._followers[batch_id]

    def get(self, batch_id: str) -> BatchRecord | None:
        """Return a batch with its counts as they are now, or as they were when it finished."""
        record = self.records.get(batch_id)
        return record if record is None or record.finished_at else replace(record, counts=self._counts(batch_id))

    def members(self, batch_id: str, kinds: Sequence[str]) -> list[str]:
        """Return the ids of the members that have one of these states, in order."""
        return sorted(job_id for job_id, way in self._members.get(batch_id, {}).items() if way in kinds)

    def update(self, batch_id: str, **changes: Any) -> BatchRecord:
        """Change a batch; return it."""
        self.records[batch_id] = replace(self.records[batch_id], **changes)
        return self.records[batch_id]

    def settle(self, batch_id: str) -> BatchRecord | None:
        """Return a batch that has finished, now or before, if its callbacks are not enqueued yet; else ``None``."""
        record = self.get(batch_id)
        if record is None or record.sealed_at is None or record.called_at is not None:
            return None
        if record.finished_at is None:
            if record.counts.left:
                return None
            self.update(batch_id, finished_at=utcnow(), counts=record.counts)
        return self.records[batch_id]

    def reopen(self, batch_id: str, is_stored: Callable[[str], object]) -> None:
        """Begin another round of a batch that has finished, without the members that are no longer stored."""
        record = self.records.get(batch_id)
        if record is not None and record.finished_at is not None:
            members = self._members[batch_id]
            for job_id in [job_id for job_id in members if not is_stored(job_id)]:
                self._standings[batch_id][members.pop(job_id)] -= 1
            self.update(batch_id, round=record.round + 1, finished_at=None, called_at=None, cancelled_at=None)

    def prune(self, before: Any) -> list[str]:
        """Drop the batches whose callbacks were enqueued before a time, and have ended; return their ids."""
        called = [record for record in self.records.values() if record.called_at and record.called_at < before]
        old = [record.id for record in called if record.id not in self._followers]
        for batch_id in old:
            self.drop(batch_id)
        return old

    def drop(self, batch_id: str) -> None:
        """Drop a batch, if it is there."""
        for part in (self.records, self._members, self._standings):
            part.pop(batch_id, None)

    def is_kept(self, job: Job, *, if_room: bool = False) -> bool:
        """Whether ``job`` is a node of a workflow that goes on, or whose callbacks do: others may need its result.

        With ``if_room`` also whether it is a failed member of such a batch, because somebody may retry it.
        """
        record = self.records.get(job.batch or "")
        if record is None or not self._goes_on(record):
            return False
        return record.kind == WORKFLOW or (if_room and job.status == FAILED)

    def kept(self) -> int:
        """Return how many ended jobs ``is_kept`` keeps."""
        running = [each.id for each in self.records.values() if each.kind == WORKFLOW and self._goes_on(each)]
        return sum(self._standings[batch_id].total() - self._standings[batch_id]["left"] for batch_id in running)

    def _goes_on(self, record: BatchRecord) -> bool:
        return record.called_at is None or record.id in self._followers

    def clear(self) -> None:
        """Delete everything."""
        for part in (self.records, self._members, self._standings, self._followers):
            part.clear()

    def _counts(self, batch_id: str) -> BatchCounts:
        ways = self._standings[batch_id]
        return BatchCounts(len(self._members[batch_id]), ways["succeeded"], ways["failed"], ways["cancelled"])


def _progress(record: BatchRecord) -> tuple[Any, ...]:
    """Return a sort key for the states of a batch: the later, the higher."""
    times = (record.called_at, record.finished_at, record.cancelled_at, record.sealed_at)
    return (record.round, *[moment is not None for moment in times])


class MemoryBatches(Batches):
    """The batches of ``MemoryQueue``."""

    _batches: BatchTable
    _lock: threading.RLock

    def open_batch(self, batch: BatchRecord) -> None:
        """Store a new batch."""
        with self._lock:
            self._batches.open(batch)

    def restore_batch(self, batch: BatchRecord) -> None:
        """Store a batch of another store as it is."""
        with self._lock:
            self._batches.restore(batch)

    def get_batch(self, batch_id: str) -> BatchRecord | None:
        """Return a batch with its counts."""
        with self._lock:
            return self._batches.get(digits_of(batch_id) or "")

    def list_batches(self, *, before: str | None = None, limit: int = 100) -> Sequence[BatchRecord]:
        """Return batches, the newest first."""
        with self._lock:
            known = sorted(self._batches.records.values(), key=lambda record: record.id, reverse=True)
        return [record for record in known if before is None or record.id < before][:limit]

    def batch_members(self, batch_id: str, kind: str, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Return the ids of members."""
        kinds = ("failed", "cancelled") if kind == "failed" else (kind,)
        with self._lock:
            return [job_id for job_id in self._batches.members(batch_id, kinds) if job_id > after][:limit]

    def seal_batch(self, batch_id: str, *, is_cancelled: bool = False) -> bool:
        """Record that a batch is filled."""
        with self._lock:
            record = self._batches.records.get(batch_id)
            if record is None or record.finished_at is not None:
                return False
            now = utcnow()
            cancelled_at = (record.cancelled_at or now) if is_cancelled else record.cancelled_at
            self._batches.update(batch_id, sealed_at=record.sealed_at or now, cancelled_at=cancelled_at)
            return True

    def settle_batches(self, ids: Sequence[str] | None = None, members: Sequence[Job] = ()) -> Sequence[BatchRecord]:  # noqa: ARG002
        """Finish batches that have no member left."""
        with self._lock:
            found = map(self._batches.settle, [*self._batches.records] if ids is None else ids)
            return [record for record in found if record is not None]

    def note_called(self, batch: BatchRecord) -> bool:
        """Record that the callbacks of a batch are enqueued."""
        with self._lock:
            record = self._batches.records.get(batch.id)
            if record is None or record.round != batch.round or record.called_at is not None:
                return False
            self._batches.update(batch.id, called_at=utcnow())
            return True
