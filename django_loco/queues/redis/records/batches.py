"""Batches in Redis: a record of each, and a sorted set of all members by their standing (``lua/members.lua``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain

from ....core.job import GIVEN_UP, Job
from ....core.job.clock import time_of_micros
from ....core.serialization import encode
from ...records.batches import BATCH, BatchCounts, Batches, BatchRecord, refusal, standing_of
from ...rows.forms import digits_of
from ..codec.answers import decoded, ids_of, is_id
from ..codec.job_lists import score
from ..codec.payloads import lines, micros_in
from ..connections.server import RedisServer

#: The standings of members by kind.
KINDS = {"left": "L", "failed": "FC", "succeeded": "S"}
#: The prefix of the id of a batch that takes no more jobs, in the answer of ``lua/enqueue.lua``.
NO_BATCH = b"batch "


def members_payload(jobs: Sequence[Job]) -> str:
    """Return the members among ``jobs``, for scripts: two lines each, id and batch. Raises ``BatchFinished``."""
    members = [(job.id, job.batch) for job in jobs if job.batch is not None]
    for _, batch_id in members:
        if not is_id(batch_id):
            raise refusal(batch_id)
    return lines(chain.from_iterable(members)) if members else ""


def standings_payload(jobs: Iterable[Job]) -> str:
    """Return the members among ``jobs`` with their standings, for ``lua/restore.lua``."""
    members = ((job.id, job.batch, standing_of(job)[0].upper()) for job in jobs if is_id(job.batch or ""))
    return lines(chain.from_iterable(members))


def refused_of(answer: bytes) -> set[str]:
    """Return the ids in the answer of ``lua/enqueue.lua``. Raises ``BatchFinished`` if a batch takes no more jobs."""
    if answer.startswith(NO_BATCH):
        raise refusal(decoded(answer.removeprefix(NO_BATCH)))
    return ids_of(answer)


def prune_batches(server: RedisServer, older_than: float) -> None:
    """Delete batches whose callbacks were enqueued ``older_than`` seconds ago."""
    server.run("batch", ("prune", micros_in(older_than)))


def _text_of(batch: BatchRecord) -> str:
    kind = [] if batch.kind == BATCH else [batch.kind]  # last: lua/prune.lua looks for it
    return encode([batch.name, batch.callbacks, batch.metadata, *kind])


def _records_of(alias: str, answer: bytes) -> list[BatchRecord]:
    return [_record_of(alias, line) for line in decoded(answer).split("\n")] if answer else []


def _record_of(alias: str, line: str) -> BatchRecord:
    batch_id, number, made, sealed, cancelled, finished, called, counts, given = line.split("\t", 8)
    name, callbacks, metadata, *kind = json.loads(given)
    sealed_at, cancelled_at, finished_at, called_at = (
        time_of_micros(int(moment)) if moment else None for moment in (sealed, cancelled, finished, called)
    )
    by_standing = [*map(int, counts.split())] or [0, 0, 0, 0]
    return BatchRecord(
        id=batch_id,
        backend=alias,
        name=name,
        callbacks=callbacks,
        metadata=metadata,
        kind=kind[0] if kind else BATCH,
        created_at=time_of_micros(int(made)),
        sealed_at=sealed_at,
        cancelled_at=cancelled_at,
        finished_at=finished_at,
        called_at=called_at,
        round=int(number),
        counts=BatchCounts(sum(by_standing), *by_standing[1:]),
    )


class RedisBatches(Batches):
    """The batches of ``RedisQueue``."""

    alias: str
    server: RedisServer

    def open_batch(self, batch: BatchRecord) -> None:
        """Store a new batch."""
        self.server.run("batch", ("open", batch.id, _text_of(batch)))

    def restore_batch(self, batch: BatchRecord) -> None:
        """Store a batch of another store as it is."""
        times = (batch.created_at, batch.sealed_at, batch.cancelled_at, batch.finished_at, batch.called_at)
        ended = batch.counts[1:]
        counts = "" if batch.finished_at is None else " ".join(map(str, (batch.counts.left, *ended)))
        state = "\t".join((str(batch.round), *map(score, times), counts))
        self.server.run("batch", ("restore", batch.id, _text_of(batch), state))

    def get_batch(self, batch_id: str) -> BatchRecord | None:
        """Return a batch with its counts."""
        if (digits := digits_of(batch_id)) is None:
            return None
        return next(iter(_records_of(self.alias, self.server.run("batch", ("get", digits)))), None)

    def list_batches(self, *, before: str | None = None, limit: int = 100) -> Sequence[BatchRecord]:
        """Return batches, the newest first."""
        known = sorted(map(decoded, self.server.ask("HKEYS", self.server.key("batch_states"))), reverse=True)
        wanted = [batch_id for batch_id in known if before is None or batch_id < before][:limit]
        return _records_of(self.alias, self.server.run("batch", ("list", lines(wanted))))

    def batch_members(self, batch_id: str, kind: str, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Return the ids of members."""
        answer: bytes = self.server.run("batch", ("members", batch_id, KINDS[kind], after, limit))
        return decoded(answer).split("\n") if answer else []

    def seal_batch(self, batch_id: str, *, is_cancelled: bool = False) -> bool:
        """Record that a batch is filled."""
        return bool(self.server.run("batch", ("seal", batch_id, int(is_cancelled))))

    def settle_batches(self, ids: Sequence[str] | None = None, members: Sequence[Job] = ()) -> Sequence[BatchRecord]:
        """Finish batches that have no member left."""
        wanted = "*" if ids is None else lines(batch_id for batch_id in ids if is_id(batch_id))
        payload = members_payload([job for job in members if is_id(job.batch or "")])
        return _records_of(self.alias, self.server.run("batch", ("settle", lines(GIVEN_UP), wanted, payload)))

    def note_called(self, batch: BatchRecord) -> bool:
        """Record that the callbacks of a batch are enqueued."""
        return bool(self.server.run("batch", ("called", batch.id, batch.round)))
