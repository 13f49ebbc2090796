"""The common parts of the tests of batches."""

from __future__ import annotations

from unittest import SkipTest

from ....core.job import FAILED, Job, Outcome, error_of, new_id
from ....exceptions import JobCancelled
from ....queues.records.batches import Batches, BatchRecord, new_record
from ..case import ContractCase

CALLBACKS, METADATA = '{"finish":"{\\"a\\":\\"ä𝄞\\"}"}', '{"file":"a\\tb.csv"}'


def cancelled(job: Job) -> Outcome:
    """Return the outcome of a job that somebody has cancelled."""
    return Outcome(job=job, status=FAILED, error=error_of(JobCancelled, "by hand"))


class BatchCase(ContractCase):
    """A queue with batches, and methods to fill and end them."""

    def opened(self, name: str = "import") -> str:
        """Store a new batch; return its id."""
        if type(self.queue).open_batch is Batches.open_batch:
            raise SkipTest(f"{type(self.queue).__name__} has no batches")
        record = new_record(new_id(), self.queue.alias, name, CALLBACKS, METADATA)
        self.queue.open_batch(record)
        return record.id

    def sealed(self, number: int = 1) -> tuple[str, list[Job]]:
        """Store a batch with ``number`` members, and seal it. Return its id and the members, which are held."""
        batch = self.opened()
        self.queue.enqueue([self.job(batch=batch) for _ in range(number)])
        self.queue.seal_batch(batch)
        return batch, self.fetch()

    def record(self, batch: str) -> BatchRecord:
        """Return the present state of a batch in the queue."""
        found = self.queue.get_batch(batch)
        assert found is not None
        return found

    def counts(self, batch: str) -> tuple[int, ...]:
        """Return the counts of a batch, and how many members have not ended."""
        counts = self.record(batch).counts
        return (*counts, counts.left)

    def settled(self, batch: str, members: list[Job]) -> list[str]:
        """Settle a batch after ``members`` have ended. Return the ids of the batches that have finished."""
        return [record.id for record in self.queue.settle_batches([batch], members)]

    def end(self, *outcomes: Outcome) -> list[str]:
        """Store outcomes of members of one batch, and settle the batch."""
        assert self.queue.finish(outcomes) == set()
        return self.settled(str(outcomes[0].job.batch), [outcome.job for outcome in outcomes])
