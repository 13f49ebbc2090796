"""The contract of how long batches are kept, and their members."""

from __future__ import annotations

from ....core.job import FAILED
from ....queues.records.batches import key_of
from ..case import done, failed, in_seconds, retry
from .batch_case import BatchCase, cancelled


class BatchPruningContract(BatchCase):
    """A batch is kept until what follows it has ended, and its members as long as it counts them."""

    def test_what_a_batch_counts_is_not_pruned(self) -> None:
        batch, [first, second] = self.sealed(2)
        self.end(done(first, at=in_seconds(-86_400)))
        self.queue.prune(older_than=43_200)
        assert self.counts(batch) == (2, 1, 0, 0, 1)
        assert self.end(failed(second, at=in_seconds(-86_400))) == [batch]
        [record] = self.queue.settle_batches()
        self.queue.note_called(record)
        self.queue.prune(older_than=43_200)
        assert self.counts(batch) == (2, 1, 1, 0, 0)
        assert self.queue.get(first.id) is self.queue.get(second.id) is None

    def test_old_batches_are_pruned_and_open_ones_stay(self) -> None:
        batch, [member] = self.sealed()
        still_open = self.opened()
        self.end(done(member))
        self.queue.prune(older_than=-60)
        assert self.queue.get_batch(batch) is not None  # its callbacks may not be enqueued yet
        [record] = self.queue.settle_batches()
        self.queue.note_called(record)
        self.queue.prune(older_than=-60)
        assert self.queue.get_batch(batch) is None
        assert self.queue.get_batch(still_open) is not None

    def test_a_batch_stays_until_what_follows_it_has_ended(self) -> None:
        batch, [first, second] = self.sealed(2)
        self.end(done(first, at=in_seconds(-86_400)), failed(second, at=in_seconds(-86_400)))
        [record] = self.queue.settle_batches()
        [follower] = self.queue.enqueue([self.job(key=key_of(batch, record.round, "finish"))])
        self.queue.note_called(record)
        self.queue.prune(older_than=-60)
        assert self.counts(batch) == (2, 1, 1, 0, 0)
        assert self.queue.get(second.id) is not None
        [held] = self.fetch()
        self.queue.finish([retry(held)])
        [held] = self.fetch()
        self.queue.prune(older_than=-60)
        assert self.queue.get_batch(batch) is not None
        assert self.queue.get(second.id) is not None
        self.queue.finish([done(held)])
        self.queue.prune(older_than=-60)
        assert self.queue.get_batch(batch) is None
        assert self.queue.get(second.id) is None
        assert held.id == follower.id

    def test_failed_members_of_a_batch_that_goes_on_are_not_pruned(self) -> None:
        batch, [first, second] = self.sealed(2)
        self.end(failed(first, at=in_seconds(-86_400)))
        self.queue.prune(older_than=43_200)
        assert self.queue.get(first.id) is not None
        assert list(self.queue.batch_members(batch, "failed")) == [first.id]
        self.end(cancelled(second))
        assert self.stored(first).status == FAILED
