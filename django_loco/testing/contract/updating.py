"""The contract of what a run writes: checkpoint and metadata while it holds the job, and the log when it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...core.job import READY, SUCCESSFUL, Job, Outcome, utcnow
from ...queues import Claim
from ...queues.base import Change
from ...queues.rows import LOGS_KEPT
from .case import ContractCase, done, failed, in_seconds, retry
from .enqueueing import NASTY

#: Texts that each field has to keep unchanged.
TEXTS = {
    "checkpoint": ["1", '{"done":[2,"b"]}', "null", *map(json.dumps, NASTY)],
    "metadata": [json.dumps({text: text}) for text in NASTY],
    "progress": [json.dumps({"done": 1, "total": None, "note": text, "at": ""}) for text in NASTY],
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
            held = replace(held, **{field: '{"a":7}'})  # type: ignore[arg-type]
        [freed] = self.queue.rescue()
        assert (freed.checkpoint, freed.metadata, freed.progress, freed.lost) == (*('{"a":7}',) * 3, 1)
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
            # The outcome is made from the job as it was fetched.
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


def log_of(text: str) -> str:
    """Return the log of a run that has logged ``text``."""
    return json.dumps({"text": text})


class LogContract(ContractCase):
    """The logs of runs stay with the job, and no method but ``logs`` returns them."""

    def logged(self, end: Callable[..., Outcome] = done, text: str = "one", **given: Any) -> Job:
        """Return a job that has run once and logged ``text``."""
        held = self.held(**given)
        assert self.queue.finish([replace(end(held), log=log_of(text))]) == set()
        return held

    def logs(self, job: Job) -> Sequence[str]:
        """Return the stored logs of ``job``."""
        stored = self.queue.logs([job.id]).get(job.id)
        return [json.loads(line)["text"] for line in stored.split("\n")] if stored else []

    def test_a_log_is_stored_with_each_end(self) -> None:
        for end in (done, failed, retry, Outcome.released):
            job = self.logged(end)
            assert self.logs(job) == ["one"]
            self.queue.clear()
            assert self.logs(job) == []

    def test_jobs_without_a_log_have_none(self) -> None:
        job, ended, waiting = self.logged(), self.held(), self.enqueue()
        self.queue.finish([done(ended)])
        assert self.queue.logs([ended.id, job.id, waiting.id, self.job().id]) == {job.id: log_of("one")}
        assert self.queue.logs([]) == {}

    def test_a_log_does_not_change_the_job(self) -> None:
        plain = self.held(enqueued_at=(at := utcnow()))
        self.queue.finish([done(plain, at=at)])
        held = self.held(enqueued_at=at)
        self.queue.finish([replace(done(held, at=at), log=log_of("one"))])
        own: dict[str, Any] = {name: getattr(held, name) for name in ("id", "started_at", "last_attempted_at")}
        assert self.stored(held) == replace(self.stored(plain), **own)
        assert self.stored(held) in self.queue.list()

    def test_each_text_is_kept_to_the_letter(self) -> None:
        for text in (*NASTY, "a\nb\tc", "x" * 300_000):
            assert self.logs(self.logged(text=text)) == [text]

    def test_of_one_call_each_job_keeps_its_own(self) -> None:
        self.queue.enqueue([self.job() for _ in range(20)])
        held = self.fetch()
        logs = {job.id: log_of(str(number)) for number, job in enumerate(held) if number % 3}
        self.queue.finish([replace(done(job), log=logs.get(job.id)) for job in held])
        assert self.queue.logs([job.id for job in held]) == logs

    def test_the_logs_of_the_last_runs_stay(self) -> None:
        job = self.logged(Outcome.released, "0")
        for number in range(1, LOGS_KEPT + 3):
            assert self.logs(job) == [str(each) for each in range(max(0, number - LOGS_KEPT), number)]
            [held] = self.fetch()
            self.queue.finish([replace(Outcome.released(held), log=log_of(str(number)))])
        [held] = self.fetch()
        before = self.logs(job)
        self.queue.finish([failed(held)])
        assert self.logs(job) == before == [str(number) for number in range(3, LOGS_KEPT + 3)]

    def test_an_outcome_that_is_refused_leaves_no_log(self) -> None:
        held = self.held()
        assert self.queue.finish([replace(done(replace(held, token="stale")), log=log_of("late"))]) == {held.id}
        assert self.logs(held) == []
        self.queue.finish([done(held)])
        self.queue.finish([replace(done(held), log=log_of("late"))])
        assert self.logs(held) == []

    def test_an_outcome_that_is_stored_twice_has_one_log(self) -> None:
        held = self.held()
        outcome = replace(done(held), log=log_of("one"))
        self.queue.finish([outcome])
        self.queue.finish([outcome])
        assert self.logs(held) == ["one"]

    def test_a_rescue_keeps_the_logs_of_earlier_runs(self) -> None:
        job = self.logged(Outcome.released)
        self.fetch(lease=0)
        assert [freed.id for freed in self.queue.rescue()] == [job.id]
        assert self.logs(job) == ["one"]

    def test_a_change_keeps_the_logs(self) -> None:
        job = self.stored(self.logged(failed))
        again = replace(job, status=READY, run_after=None, finished_at=None, priority=7, metadata='{"a":1}')
        assert self.queue.change([Change(before=job, after=again)]) == set()
        assert self.logs(job) == ["one"]
        [held] = self.fetch()
        self.queue.finish([replace(done(held), log=log_of("two"))])
        assert self.logs(job) == ["one", "two"]

    def test_logs_are_deleted_with_their_jobs(self) -> None:
        job, other = self.logged(), self.logged(text="other")
        assert self.queue.change([Change(before=self.stored(job), after=None)]) == set()
        assert (self.logs(job), self.logs(other)) == ([], ["other"])
        self.queue.restore([job := replace(job, status=READY, token=None, worker_id=None)])
        assert self.logs(job) == []
        assert self.queue.prune(-60) == 1
        assert self.logs(other) == []

    def test_jobs_are_restored_with_their_logs(self) -> None:
        jobs = [self.job(worker_ids=("w1",)), self.job(), self.job(key="k")]
        stored = {jobs[0].id: f"{log_of('a')}\n{log_of('b')}", jobs[2].id: log_of("c")}
        assert self.queue.restore(jobs, stored) == {job.id for job in jobs}
        assert [self.logs(job) for job in jobs] == [["a", "b"], [], ["c"]]
        assert [self.stored(job) for job in jobs] == jobs

    def test_the_logs_of_jobs_that_exist_are_left_alone(self) -> None:
        job, keyed = self.stored(self.logged()), self.enqueue(key="k")
        again = self.job(key="k")
        logs = dict.fromkeys((job.id, keyed.id, again.id), log_of("new"))
        assert self.queue.restore([job, keyed, again], logs) == set()
        assert [self.logs(each) for each in (job, keyed, again)] == [["one"], [], []]

    def test_an_exchange_stores_logs_and_hands_over_jobs(self) -> None:
        held, waiting = self.held(), self.enqueue()
        claim = Claim(worker_id="worker-1", lease=60, threads=5, coroutines=5)
        jobs = self.queue.exchange([replace(done(held), log=log_of("one"))], claim, lambda _refused: None)
        assert [job.id for job in jobs] == [waiting.id]
        assert self.logs(held) == ["one"]
