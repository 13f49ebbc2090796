"""The contract of rounds. A new round begins when members of a finished batch are made ready again."""

from __future__ import annotations

from dataclasses import replace

from ....core.job import READY, Job
from ....queues.base import Change
from ....queues.records.batches import BatchCounts, BatchRecord
from ..case import done, failed
from .batch_case import BatchCase, cancelled


class BatchRoundContract(BatchCase):
    """If members of a finished batch run again, the batch finishes again."""

    def finished(self, number: int = 1) -> tuple[BatchRecord, list[Job]]:
        """Return a batch that has finished because all members failed, and its members as they are stored."""
        batch, members = self.sealed(number)
        self.end(*map(failed, members))
        [record] = self.queue.settle_batches()
        self.queue.note_called(record)
        return self.record(batch), [self.stored(job) for job in members]

    def ready(self, *jobs: Job) -> set[str]:
        """Make finished jobs ready again. Return the ids of jobs for which this was refused."""
        return self.queue.change(
            [Change(before=job, after=replace(job, status=READY, run_after=None, finished_at=None)) for job in jobs]
        )

    def test_a_member_that_is_made_ready_again_begins_another_round(self) -> None:
        """The new round begins in the same step, because the process may be killed right after it."""
        record, [first, second] = self.finished(2)
        assert self.ready(first) == set()
        again = self.record(record.id)
        assert (again.round, again.finished_at, again.called_at) == (2, None, None)
        assert again.sealed_at is not None
        assert self.counts(record.id) == (2, 0, 1, 0, 1)
        assert self.queue.note_called(record) in (False, None)  # too late: the record is of the first round
        assert self.settled(record.id, [first]) == []
        assert self.ready(second) == set()
        assert self.record(record.id).round == 2
        assert self.end(*map(done, self.fetch())) == [record.id]
        assert self.record(record.id).counts == BatchCounts(2, 2, 0, 0)

    def test_a_round_that_is_begun_finishes_though_nobody_has_looked_at_it_before(self) -> None:
        record, [member] = self.finished()
        self.ready(member)
        self.queue.finish([*map(failed, self.fetch())])
        assert [(each.id, each.round) for each in self.queue.settle_batches()] == [(record.id, 2)]

    def test_a_cancelled_batch_takes_jobs_in_another_round(self) -> None:
        batch, [member] = self.sealed()
        self.queue.seal_batch(batch, is_cancelled=True)
        self.end(cancelled(member))
        self.ready(self.stored(member))
        assert self.record(batch).cancelled_at is None
        self.enqueue(batch=batch)
        assert self.counts(batch) == (2, 0, 0, 0, 2)

    def test_a_failed_member_that_was_deleted_does_not_count_in_another_round(self) -> None:
        """This way the same callbacks follow in each store."""
        record, [first, second, third] = self.finished(3)
        self.queue.change([Change(before=first, after=None)])
        assert self.ready(second) == set()
        assert self.counts(record.id) == (2, 0, 1, 0, 1)
        assert self.ready(third) == set()
        assert self.end(*map(done, self.fetch())) == [record.id]
        assert self.record(record.id).counts == BatchCounts(2, 2, 0, 0)

    def test_other_changes_begin_no_round(self) -> None:
        record, [first, second, third] = self.finished(3)
        assert self.ready(replace(first, priority=9)) == {first.id}
        discarded = Change(before=second, after=cancelled(second).applied())
        assert self.queue.change([discarded, Change(before=third, after=None)]) == set()
        self.settled(record.id, [first, second, third])
        assert self.record(record.id) == record

    def test_whoever_finishes_a_batch_while_members_are_made_ready_leaves_none_behind(self) -> None:
        batch, members = self.sealed(8)
        self.queue.finish([*map(failed, members)])
        stored = [self.stored(job) for job in members]

        def act(number: int) -> None:
            if number % 2:
                for record in self.queue.settle_batches([batch], stored):
                    self.queue.note_called(record)
            else:
                assert self.ready(*stored[number : number + 2]) == set()

        self.side_by_side(act)
        assert self.settled(batch, stored) == []
        assert self.counts(batch) == (8, 0, 0, 0, 8)
        assert self.record(batch).called_at is None
