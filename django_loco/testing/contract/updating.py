"""The contract of ``update``: a run stores its checkpoint and its metadata while it holds the job."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from ...core.job import READY, SUCCESSFUL, Outcome
from .case import ContractCase, done, failed, in_seconds, retry
from .enqueueing import NASTY

#: Texts that each field has to keep to the letter.
TEXTS = {
    "checkpoint": ["1", '{"done":[2,"b"]}', "null", *map(json.dumps, NASTY)],
    "metadata": [json.dumps({text: text}) for text in NASTY],
}


class UpdateContract(ContractCase):
    """A checkpoint and metadata reach the next run. Only the holder of a job changes them."""

    def test_nothing_is_stored_at_first(self) -> None:
        held = self.held()
        assert (held.checkpoint, held.metadata) == (None, None)
        assert (self.stored(held).checkpoint, self.stored(held).metadata) == (None, None)

    def test_an_update_is_stored_to_the_letter_while_the_job_runs(self) -> None:
        for field, texts in TEXTS.items():
            held = self.held()
            for text in texts:
                assert self.queue.update(held, field, text)
                updated = replace(held, **{field: text})  # type: ignore[arg-type]
                assert self.stored(held) == updated
                assert updated in self.queue.list()

    def test_updates_of_two_fields_do_not_touch_each_other(self) -> None:
        held = self.held(metadata='{"a":1}')
        assert self.queue.update(held, "checkpoint", "1")
        assert self.queue.update(replace(held, checkpoint="1"), "metadata", '{"a":2}')
        assert self.stored(held) == replace(held, checkpoint="1", metadata='{"a":2}')
        assert self.queue.update(replace(held, metadata='{"a":2}'), "checkpoint", "2")
        assert self.stored(held) == replace(held, checkpoint="2", metadata='{"a":2}')

    def test_an_update_outlives_a_worker_that_died(self) -> None:
        self.enqueue()
        [held] = self.fetch(lease=0)
        for field in TEXTS:
            self.queue.update(held, field, '{"a":7}')
        [freed] = self.queue.rescue()
        assert (freed.checkpoint, freed.metadata, freed.lost) == ('{"a":7}', '{"a":7}', 1)
        assert freed == self.stored(held)
        [again] = self.fetch()
        assert (again.checkpoint, again.metadata) == ('{"a":7}', '{"a":7}')

    def test_only_the_holder_may_update(self) -> None:
        for field in TEXTS:
            self.enqueue()
            [dead] = self.fetch(lease=0)
            self.queue.update(dead, field, '{"a":1}')
            self.queue.rescue()
            assert not self.queue.update(dead, field, '{"a":2}')
            [held] = self.fetch(worker_id="worker-2")
            assert not self.queue.update(dead, field, '{"a":3}')
            assert getattr(self.stored(held), field) == '{"a":1}'
            assert self.queue.update(held, field, '{"a":4}')
            assert getattr(self.stored(held), field) == '{"a":4}'
            self.queue.finish([Outcome.released(held)])
            assert not self.queue.update(held, field, '{"a":5}')
            self.queue.finish([done(job) for job in self.fetch()])

    def test_a_job_that_has_ended_or_is_unknown_cannot_be_updated(self) -> None:
        ended, waiting = self.held(), self.enqueue()
        self.queue.finish([done(ended)])
        for field in TEXTS:
            for job in (ended, waiting, self.job(), replace(ended, token="stale")):
                assert not self.queue.update(job, field, '{"a":1}')
        assert (self.stored(ended).status, self.stored(ended).checkpoint) == (SUCCESSFUL, None)
        assert (self.stored(ended).metadata, self.stored(waiting)) == (None, waiting)

    def test_the_next_run_has_the_checkpoint(self) -> None:
        job = self.enqueue(age=5)
        outcomes: list[Callable[..., Outcome]] = [Outcome.released, retry, Outcome.released]
        for number, outcome in enumerate(outcomes):
            [held] = self.fetch()
            assert held.checkpoint == (str(number - 1) if number else None)
            assert self.queue.update(held, "checkpoint", str(number))
            # The outcome is made of the job as it was fetched.
            assert self.queue.finish([outcome(held, run_after=in_seconds(-1))]) == set()
        [held] = self.fetch()
        assert (held.id, held.checkpoint, held.attempt) == (job.id, "2", 2)

    def test_a_run_without_a_checkpoint_leaves_the_last_one(self) -> None:
        held = self.held()
        self.queue.update(held, "checkpoint", "1")
        self.queue.finish([Outcome.released(held)])
        [held] = self.fetch()
        self.queue.finish([Outcome.released(held)])
        assert self.stored(held).checkpoint == "1"

    def test_a_checkpoint_goes_when_the_job_has_succeeded(self) -> None:
        held = self.held()
        self.queue.update(held, "checkpoint", "1")
        assert self.queue.finish([done(held)]) == set()
        assert self.stored(held) == done(held, at=self.stored(held).finished_at).applied()
        assert self.stored(held).checkpoint is None

    def test_a_checkpoint_stays_when_the_job_has_failed(self) -> None:
        held = self.held()
        self.queue.update(held, "checkpoint", "1")
        self.queue.finish([failed(held)])
        assert self.stored(held).checkpoint == "1"

    def test_a_job_can_be_enqueued_with_a_checkpoint(self) -> None:
        job = self.enqueue(checkpoint="5", lost=1)
        assert self.stored(job) == job
        new = self.enqueue(checkpoint="6")
        assert self.stored(new) == new
        assert [held.checkpoint for held in self.fetch()] == ["5", "6"]

    def test_each_job_has_its_own_checkpoint(self) -> None:
        self.queue.enqueue([self.job() for _ in range(100)])
        held = self.fetch()
        for number, job in enumerate(held):
            self.queue.update(job, "checkpoint", str(number))
        self.queue.finish([Outcome.released(job) for job in held])
        again = {job.id: job.checkpoint for job in self.fetch()}
        assert again == {job.id: str(number) for number, job in enumerate(held)}
        assert {self.stored(job).status for job in held} != {READY}

    def test_metadata_come_with_the_job_and_stay(self) -> None:
        job = self.enqueue(metadata='{"trace_id":123}')
        assert self.stored(job).metadata == '{"trace_id":123}'
        [held] = self.fetch()
        assert held.metadata == '{"trace_id":123}'
        self.queue.finish([done(held)])
        assert (self.stored(held).status, self.stored(held).metadata) == (SUCCESSFUL, '{"trace_id":123}')

    def test_the_next_attempt_has_the_metadata_of_the_last_one(self) -> None:
        held = self.held(metadata='{"a":1}')
        self.queue.update(held, "metadata", '{"a":2}')
        self.queue.finish([retry(held)])
        [again] = self.fetch()
        assert (again.metadata, again.attempt) == ('{"a":2}', 2)
        self.queue.finish([failed(again)])
        assert self.stored(again).metadata == '{"a":2}'

    def test_metadata_are_pruned_with_the_job(self) -> None:
        held = self.held(metadata='{"a":1}')
        self.queue.finish([done(held)])
        assert self.queue.prune(-60) == 1
        assert self.queue.get(held.id) is None
