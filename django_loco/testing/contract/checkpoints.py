"""The contract of ``checkpoint``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from ...core.job import READY, SUCCESSFUL, Outcome
from .case import ContractCase, done, failed, in_seconds, retry
from .enqueueing import NASTY


class CheckpointContract(ContractCase):
    """How far a run has come is known to the next one, whatever became of it."""

    def test_there_is_none_at_first(self) -> None:
        held = self.held()
        assert held.checkpoint is None
        assert self.stored(held).checkpoint is None

    def test_it_is_stored_while_the_job_runs(self) -> None:
        held = self.held()
        for text in ("1", '{"done":[2,"b"]}', "null"):
            assert self.queue.update(held, "checkpoint", text)
            assert self.stored(held) == replace(held, checkpoint=text)
            assert self.queue.list() == [replace(held, checkpoint=text)]

    def test_it_is_kept_to_the_letter(self) -> None:
        held = self.held()
        for text in NASTY:
            assert self.queue.update(held, "checkpoint", json.dumps(text))
            assert json.loads(self.stored(held).checkpoint or "") == text

    def test_the_next_run_has_it(self) -> None:
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

    def test_a_run_that_saves_none_leaves_the_last_one(self) -> None:
        held = self.held()
        self.queue.update(held, "checkpoint", "1")
        self.queue.finish([Outcome.released(held)])
        [held] = self.fetch()
        self.queue.finish([Outcome.released(held)])
        assert self.stored(held).checkpoint == "1"

    def test_it_outlives_a_worker_that_died(self) -> None:
        self.enqueue()
        [held] = self.fetch(lease=0)
        self.queue.update(held, "checkpoint", "7")
        [freed] = self.queue.rescue()
        assert (freed.checkpoint, freed.lost) == ("7", 1)
        assert freed == self.stored(held)
        [again] = self.fetch()
        assert again.checkpoint == "7"

    def test_only_the_holder_may_save_one(self) -> None:
        self.enqueue()
        [dead] = self.fetch(lease=0)
        self.queue.update(dead, "checkpoint", "1")
        self.queue.rescue()
        assert not self.queue.update(dead, "checkpoint", "2")
        [held] = self.fetch(worker_id="worker-2")
        assert not self.queue.update(dead, "checkpoint", "3")
        assert self.stored(held).checkpoint == "1"
        assert self.queue.update(held, "checkpoint", "4")
        assert self.stored(held).checkpoint == "4"

    def test_nobody_may_save_one_for_what_has_ended_or_is_unknown(self) -> None:
        ended, waiting = self.held(), self.enqueue()
        self.queue.finish([done(ended)])
        for job in (ended, waiting, self.job(), replace(ended, token="stale")):
            assert not self.queue.update(job, "checkpoint", "1")
        assert (self.stored(ended).status, self.stored(ended).checkpoint) == (SUCCESSFUL, None)
        assert self.stored(waiting) == waiting

    def test_it_goes_when_the_job_has_succeeded(self) -> None:
        held = self.held()
        self.queue.update(held, "checkpoint", "1")
        assert self.queue.finish([done(held)]) == set()
        assert self.stored(held) == done(held, at=self.stored(held).finished_at).applied()
        assert self.stored(held).checkpoint is None

    def test_it_stays_when_the_job_has_failed(self) -> None:
        held = self.held()
        self.queue.update(held, "checkpoint", "1")
        self.queue.finish([failed(held)])
        assert self.stored(held).checkpoint == "1"

    def test_a_job_can_be_enqueued_with_one(self) -> None:
        job = self.enqueue(checkpoint="5", lost=1)
        assert self.stored(job) == job
        new = self.enqueue(checkpoint="6")
        assert self.stored(new) == new
        assert [held.checkpoint for held in self.fetch()] == ["5", "6"]

    def test_each_job_has_its_own(self) -> None:
        self.queue.enqueue([self.job() for _ in range(100)])
        held = self.fetch()
        for number, job in enumerate(held):
            self.queue.update(job, "checkpoint", str(number))
        self.queue.finish([Outcome.released(job) for job in held])
        again = {job.id: job.checkpoint for job in self.fetch()}
        assert again == {job.id: str(number) for number, job in enumerate(held)}
        assert {self.stored(job).status for job in held} != {READY}
