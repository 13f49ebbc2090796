"""The contract of batches: when they finish, and what is stored of them."""

from __future__ import annotations

from dataclasses import replace

from ....core.job import FAILED, MAX_LOST, READY, RUNNING, Outcome, new_id
from ....queues.base import Change
from ....queues.records.batches import BatchCounts, new_record
from ..case import done, failed, in_seconds, retry
from .batch_case import CALLBACKS, METADATA, BatchCase, cancelled


class BatchContract(BatchCase):
    """A batch finishes once: when it is sealed and all members have ended. A queue without batches is not tested."""

    def test_a_batch_is_stored_as_it_is(self) -> None:
        batch = self.opened("import 'ü'\t\n")
        stored = self.record(batch)
        assert (stored.id, stored.backend, stored.name) == (batch, self.queue.alias, "import 'ü'\t\n")
        assert (stored.callbacks, stored.metadata, stored.round) == (CALLBACKS, METADATA, 1)
        assert (stored.sealed_at, stored.cancelled_at, stored.finished_at, stored.called_at) == (None,) * 4
        assert stored.counts == BatchCounts()
        assert abs((stored.created_at - in_seconds(0)).total_seconds()) < 60

    def test_a_batch_that_is_opened_again_stays_as_it_is(self) -> None:
        batch = self.opened()
        self.enqueue(batch=batch)
        self.queue.open_batch(new_record(batch, self.queue.alias, "other", "{}", "{}"))
        assert self.record(batch).name == "import"
        assert self.counts(batch) == (1, 0, 0, 0, 1)

    def test_any_number_of_batches_finish_together(self) -> None:
        ids = [self.opened() for _ in range(120)]
        self.queue.enqueue([self.job(batch=batch) for batch in ids])
        for batch in ids:
            self.queue.seal_batch(batch)
        ended = [done(held) for held in self.fetch()]
        self.queue.finish(ended)
        assert {each.id for each in self.queue.settle_batches(ids, [each.job for each in ended])} == {*ids}

    def test_what_is_not_there_is_not_found(self) -> None:
        self.opened()
        unknown = new_id()
        assert self.queue.get_batch(unknown) is None
        assert self.queue.seal_batch(unknown) is False
        assert self.queue.settle_batches([unknown], [self.job(batch=unknown)]) == []
        assert self.queue.batch_members(unknown, "left") == []

    def test_what_is_no_id_of_a_batch_is_not_found(self) -> None:
        for text in ("\0", "\ud800", "", "unknown", "f" * 33):
            assert self.queue.get_batch(text) is None

    def test_an_open_batch_does_not_finish(self) -> None:
        batch = self.opened()
        self.enqueue(batch=batch)
        assert self.end(*map(done, self.fetch())) == []
        assert self.queue.settle_batches() == []
        assert self.counts(batch) == (1, 1, 0, 0, 0)
        assert self.record(batch).finished_at is None

    def test_an_empty_batch_finishes_when_it_is_sealed(self) -> None:
        batch = self.opened()
        assert self.settled(batch, []) == []
        assert self.queue.seal_batch(batch) is True
        assert self.settled(batch, []) == [batch]
        assert self.record(batch).finished_at is not None

    def test_a_batch_finishes_with_its_last_member(self) -> None:
        batch, [first, second, third] = self.sealed(3)
        assert self.end(done(first)) == []
        assert self.end(failed(second)) == []
        assert self.counts(batch) == (3, 1, 1, 0, 1)
        assert self.end(cancelled(third)) == [batch]
        [record] = self.queue.settle_batches([batch])
        assert (record.id, record.callbacks, record.counts) == (batch, CALLBACKS, BatchCounts(3, 1, 1, 1))

    def test_a_sweep_finds_what_nobody_has_settled(self) -> None:
        batch, members = self.sealed(3)
        self.queue.finish([*map(done, members)])
        assert [record.id for record in self.queue.settle_batches()] == [batch]
        assert self.counts(batch) == (3, 3, 0, 0, 0)

    def test_a_sweep_is_not_held_up_by_batches_that_stay_open(self) -> None:
        assert len({self.opened(str(number)) for number in range(150)}) > 1
        batch, members = self.sealed(1)
        self.queue.finish([*map(done, members)])
        assert [record.id for record in self.queue.settle_batches()] == [batch]

    def test_a_batch_is_returned_until_its_callbacks_are_noted(self) -> None:
        batch, [member] = self.sealed()
        assert self.end(done(member)) == self.settled(batch, []) == [batch]
        [record] = self.queue.settle_batches()
        assert self.queue.note_called(record) in (True, None)
        assert self.queue.note_called(record) in (False, None)
        assert self.settled(batch, []) == []
        assert list(self.queue.settle_batches()) == []
        assert self.record(batch).called_at is not None

    def test_what_will_run_again_is_left(self) -> None:
        batch, [first, second, third] = self.sealed(3)
        assert self.end(retry(first), retry(second, run_after=in_seconds(3600)), Outcome.released(third)) == []
        assert self.counts(batch) == (3, 0, 0, 0, 3)
        assert list(self.queue.settle_batches()) == []

    def test_a_lost_member_counts_as_failed(self) -> None:
        batch = self.opened()
        job = self.enqueue(batch=batch)
        self.queue.seal_batch(batch)
        for number in range(MAX_LOST):
            assert self.counts(batch) == (1, 0, 0, 0, 1)
            [held] = self.fetch(lease=0, suspects=True) if number == MAX_LOST - 1 else self.fetch(lease=0)
            assert self.settled(batch, [held]) == []
            assert len(self.queue.rescue()) == 1
        assert self.stored(job).status == FAILED
        assert self.settled(batch, [job]) == [batch]
        assert self.counts(batch) == (1, 0, 1, 0, 0)

    def test_an_outcome_without_a_valid_token_does_not_count(self) -> None:
        batch = self.opened()
        self.enqueue(batch=batch)
        self.queue.seal_batch(batch)
        [old] = self.fetch(lease=0)
        self.queue.rescue()
        [held] = self.fetch()
        assert self.queue.finish([done(old)]) == {old.id}
        assert self.settled(batch, [old]) == []
        assert self.end(failed(held)) == [batch]
        assert self.counts(batch) == (1, 0, 1, 0, 0)

    def test_members_that_are_cancelled_or_deleted_count_as_cancelled(self) -> None:
        batch = self.opened()
        first, second = self.queue.enqueue([self.job(batch=batch), self.job(batch=batch)])
        self.queue.seal_batch(batch)
        after = cancelled(first).applied()
        assert self.queue.change([Change(before=first, after=after), Change(before=second, after=None)]) == set()
        assert self.settled(batch, [first, second]) == [batch]
        assert self.counts(batch) == (2, 0, 0, 2, 0)

    def test_what_a_member_has_saved_does_not_change_how_it_counts(self) -> None:
        saved = '{"rows":["a","b"],"also":[["c","d"]]}'
        batch, [first, second, third] = self.sealed(3)
        assert [self.queue.update(job, "checkpoint", saved) for job in (first, second, third)] == [True] * 3
        assert self.end(cancelled(first), failed(second), done(third)) == [batch]
        assert self.counts(batch) == (3, 1, 1, 1, 0)

    def test_a_member_that_is_made_ready_again_is_left(self) -> None:
        batch, [first, second] = self.sealed(2)
        self.end(failed(first))
        before = self.stored(first)
        ready = self.job(id=before.id, batch=batch, enqueued_at=before.enqueued_at)
        assert self.queue.change([Change(before=before, after=ready)]) == set()
        self.settled(batch, [first])
        assert self.counts(batch) == (2, 0, 0, 0, 2)
        assert self.end(done(second)) == []
        [again] = self.fetch()
        assert self.end(done(again)) == [batch]
        assert self.counts(batch) == (2, 2, 0, 0, 0)

    def test_batches_are_listed_the_newest_first(self) -> None:
        batches = sorted((self.opened(str(number)) for number in range(3)), reverse=True)
        assert [record.id for record in self.queue.list_batches()] == batches
        assert [record.id for record in self.queue.list_batches(limit=2)] == batches[:2]
        assert [record.id for record in self.queue.list_batches(before=batches[0])] == batches[1:]

    def test_several_batches_are_counted_at_once(self) -> None:
        ended, [first] = self.sealed(1)
        running, [second, third, fourth, fifth] = self.sealed(4)
        empty = self.opened()
        self.end(done(first), failed(second), cancelled(third), done(fourth))
        self.queue.change([Change(before=self.stored(third), after=None)])
        unknown = replace(self.record(empty), id="f" * 32)
        listed = [*self.queue.list_batches(), unknown]
        found = {record.id: record.counts for record in self.queue.count_batches(listed)}
        assert found == {
            ended: BatchCounts(1, 1, 0, 0),
            running: BatchCounts(4, 1, 1, 1),
            empty: BatchCounts(),
            unknown.id: BatchCounts(),
        }
        assert self.stored(fifth).batch == running
        assert list(self.queue.count_batches([])) == []

    def test_a_job_that_is_restored_keeps_its_batch(self) -> None:
        batch = self.opened()
        job = self.job(batch=batch)
        assert self.queue.restore([job]) == {job.id}
        assert self.stored(job).batch == batch

    def test_a_batch_that_has_finished_is_restored_as_it_was(self) -> None:
        batch, [first, second] = self.sealed(2)
        self.end(done(first), failed(second))
        [record] = self.queue.settle_batches([batch])
        self.queue.note_called(record)
        record, members = self.record(batch), [self.stored(first), self.stored(second)]
        self.queue.clear()
        self.queue.restore_batch(record)
        self.queue.restore(members)
        assert self.record(batch) == record
        assert list(self.queue.settle_batches()) == []
        assert list(self.queue.batch_members(batch, "failed")) == [second.id]

    def test_a_batch_finishes_after_its_members_were_restored_and_it_was_sealed_again(self) -> None:
        batch, [first, _] = self.sealed(2)
        self.end(done(first))
        record, members = self.record(batch), self.queue.list()
        left = [replace(job, status=READY, token=None, worker_id=None) for job in members if job.status == RUNNING]
        self.queue.clear()
        for _ in range(2):  # a repeated import
            self.queue.restore_batch(replace(record, sealed_at=None, counts=BatchCounts()))
            assert list(self.queue.settle_batches()) == []
            self.queue.restore([job for job in [*left, *members] if job.status != RUNNING])
        for _ in range(2):
            self.queue.restore_batch(replace(record, counts=BatchCounts(total=2)))
            assert self.counts(batch) == (2, 1, 0, 0, 1)
        assert list(self.queue.settle_batches()) == []
        [held] = self.fetch()
        assert self.end(done(held)) == [batch]
        assert self.record(batch).counts == BatchCounts(2, 2)
        assert self.record(batch).metadata == METADATA

    def test_clear_leaves_no_batch(self) -> None:
        batch = self.opened()
        self.queue.clear()
        assert self.queue.get_batch(batch) is None
        assert list(self.queue.list_batches()) == []

    def test_members_that_end_at_once_finish_it_once(self) -> None:
        batch, members = self.sealed(40)

        def end(number: int) -> None:
            for job in members[number * 5 : number * 5 + 5]:
                self.queue.finish([done(job)])
                self.queue.settle_batches([batch], [job])

        self.side_by_side(end)
        assert [record.id for record in self.queue.settle_batches()] == [batch]
        assert self.counts(batch) == (40, 40, 0, 0, 0)
