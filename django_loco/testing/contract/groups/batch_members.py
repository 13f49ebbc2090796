"""The contract of members: which jobs a batch takes, and until when."""

from __future__ import annotations

from ....core.job import READY, RUNNING, Job, new_id
from ....exceptions import BatchFinished
from ..case import done, failed, retry
from .batch_case import BatchCase, cancelled


class BatchMemberContract(BatchCase):
    """A batch takes members until it has finished, or is cancelled."""

    def test_members_keep_their_batch(self) -> None:
        batch = self.opened()
        job = self.enqueue(batch=batch)
        assert self.stored(job).batch == batch
        [held] = self.fetch()
        assert held.batch == batch
        self.queue.finish([retry(held)])
        assert self.stored(job).batch == batch
        [held] = self.fetch()
        assert self.queue.update(held, "metadata", '{"a":1}')
        self.queue.finish([done(held)])
        assert self.stored(job).batch == batch
        assert self.stored(job).metadata == '{"a":1}'

    def test_members_add_members_until_the_batch_has_finished(self) -> None:
        batch, [member] = self.sealed()
        more = self.enqueue(batch=batch)
        assert self.end(done(member)) == []
        assert self.counts(batch) == (2, 1, 0, 0, 1)
        assert self.end(*map(done, self.fetch())) == [batch]
        with_other = [self.job(), self.job(batch=batch)]
        self.refused(with_other)
        assert self.stored(more).batch == batch

    def refused(self, jobs: list[Job]) -> None:
        """Require that the queue stores none of ``jobs``, because their batch takes no more jobs."""
        try:
            self.queue.enqueue(jobs)
        except BatchFinished as error:
            assert "takes no more jobs" in str(error)  # noqa: PT017
        else:
            raise AssertionError("the batch has taken a job")
        assert [self.queue.get(job.id) for job in jobs] == [None] * len(jobs)

    def test_unknown_and_cancelled_batches_take_no_jobs(self) -> None:
        batch, [member] = self.sealed()
        assert self.queue.seal_batch(batch, is_cancelled=True) is True
        self.refused([self.job(batch=batch)])
        self.refused([self.job(batch=new_id()), self.job()])
        self.refused([self.job(batch="")])
        assert self.record(batch).cancelled_at is not None
        assert self.end(cancelled(member)) == [batch]
        assert self.queue.seal_batch(batch) is False

    def test_jobs_with_known_once_keys_are_no_members(self) -> None:
        batch = self.opened()
        self.enqueue(key="a")
        stored = self.queue.enqueue([self.job(key="a", batch=batch), self.job(key="b", batch=batch)])
        assert [job.key for job in stored] == ["b"]
        assert self.counts(batch) == (1, 0, 0, 0, 1)

    def test_members_are_listed_by_kind(self) -> None:
        batch, members = self.sealed(6)
        first, second, third, *others = sorted(members, key=lambda job: job.id)
        self.end(failed(second), cancelled(third), done(others[0]))
        waiting = self.enqueue(batch=batch)
        left = sorted(job.id for job in (first, *others[1:], waiting))
        assert list(self.queue.batch_members(batch, "left")) == left
        assert list(self.queue.batch_members(batch, "left", limit=2)) == left[:2]
        assert list(self.queue.batch_members(batch, "left", after=left[1])) == left[2:]
        assert list(self.queue.batch_members(batch, "failed")) == [second.id, third.id]
        assert list(self.queue.batch_members(batch, "failed", after=second.id)) == [third.id]

    def test_members_that_are_added_at_the_end_are_taken_or_refused(self) -> None:
        """No batch finishes while a member waits."""
        batch, members = self.sealed(8)

        def end(number: int) -> bool:
            self.queue.finish([done(members[number])])
            self.queue.settle_batches([batch], [members[number]])
            try:
                self.queue.enqueue([self.job(batch=batch)])
            except BatchFinished:
                return False
            return True

        added = sum(self.side_by_side(end))
        assert self.record(batch).counts.left == added
        assert bool(added) == (self.record(batch).finished_at is None)
        waiting = [job for job in self.queue.list(status=READY) if job.batch == batch]
        assert len(waiting) == added
        assert self.queue.list(status=RUNNING) == []
