"""The contract of ``enqueue`` and ``get``."""

from __future__ import annotations

import json
from dataclasses import fields

from ...core.job import FAILED, READY, Job, new_id
from .case import ContractCase, done, failed, in_seconds

#: Texts that stores have mangled before: quotes, escapes, NUL, line ends, beyond the basic plane, a lone surrogate.
NASTY = ["", "'\"`", "\\", "%s %(x)s {y}", "\x00", "a\x00b", "\r\n\t", "ä€𝄞", "\ud800", "NULL", "[1]", "x" * 300]


#: The fields of a job that have their defaults until a worker claims it, runs it or stores an outcome.
SET_LATER = {
    "status",
    "started_at",
    "last_attempted_at",
    "finished_at",
    "return_value",
    "checkpoint",
    "token",
    "worker_id",
}


class EnqueueContract(ContractCase):
    """Jobs are stored unchanged; a once-key admits one job, ever."""

    def test_a_stored_job_is_returned_and_can_be_looked_up(self) -> None:
        job = self.job()
        assert self.queue.enqueue([job]) == [job]
        assert self.queue.get(job.id) == job
        assert self.stored(job).status == READY

    def test_every_field_makes_the_round_trip(self) -> None:
        job = self.job(
            age=3.25,
            arguments='[[1,{"b":1,"a":2.50}],{"x":null}]',
            queue_name="e-mails 'ü'",
            priority=-100,
            is_async=True,
            run_after=in_seconds(3600).replace(microsecond=0),
            tags=("a", 'b "c"'),
            options={"max_attempts": 3, "backoff": [1, 2.5]},
            key="schedule:2026-11-21T05:42:00+00:00",
            lost=1,
            worker_ids=("w1", "w2"),
            errors=(failed(self.job()).error,),
            metadata='{"a":1}',
        )
        defaults = Job(task_path="", backend="")
        unset = {each.name for each in fields(Job) if getattr(job, each.name) == getattr(defaults, each.name)}
        assert unset == SET_LATER, "give each other field a value here"
        self.queue.enqueue([job])
        assert self.stored(job) == job

    def test_arguments_are_kept_to_the_letter(self) -> None:
        for text in NASTY:
            job = self.enqueue(arguments=json.dumps([[text], {"key": text}]), options={"text": text})
            assert self.stored(job) == job

    def test_arguments_may_be_huge(self) -> None:
        job = self.enqueue(arguments=json.dumps([["ä" * 2_000_000], {}]))
        assert self.stored(job).arguments == job.arguments
        [held] = self.fetch()
        assert held.arguments == job.arguments

    def test_numbers_are_not_rounded(self) -> None:
        job = self.enqueue(arguments="[[1.10,12345678901234567890.0000000001,1e400],{}]")
        assert self.stored(job).arguments == job.arguments

    def test_no_jobs_are_no_work(self) -> None:
        assert self.queue.enqueue([]) == []

    def test_a_batch_is_returned_in_its_order(self) -> None:
        jobs = [self.job(arguments=f"[[{number}],{{}}]", priority=number % 7) for number in range(2_500)]
        assert self.queue.enqueue(jobs) == jobs
        assert {job.id for job in self.fetch()} == {job.id for job in jobs}

    def test_an_unknown_id_is_none(self) -> None:
        assert self.queue.get(new_id()) is None
        assert self.queue.get("no id at all \x00") is None
        assert self.queue.get("") is None

    def test_a_key_lets_one_job_in(self) -> None:
        first = self.enqueue(key="tick")
        assert self.queue.enqueue([self.job(key="tick")]) == []
        assert [job.id for job in self.fetch()] == [first.id]

    def test_a_key_lets_one_job_of_a_batch_in(self) -> None:
        self.enqueue(key="old")
        batch = [self.job(key=key) for key in ("old", "new", None, "new", "other", None)]
        assert self.queue.enqueue(batch) == [batch[1], batch[2], batch[4], batch[5]]
        assert self.queue.enqueue([self.job(key=key) for key in ("old", "new")]) == []
        assert len(self.fetch()) == 5

    def test_a_key_is_remembered_when_its_job_has_ended(self) -> None:
        self.queue.finish([done(self.held(key="done")), failed(self.held(key="failed"))])
        assert self.queue.enqueue([self.job(key="done"), self.job(key="failed")]) == []

    def test_a_key_outlives_the_pruning_of_its_job(self) -> None:
        self.queue.finish([done(self.held(key="done"))])
        self.queue.prune(older_than=-1)
        assert self.queue.enqueue([self.job(key="done")]) == []

    def test_a_key_of_threads_at_once_lets_one_job_in(self) -> None:
        keys = [f"tick-{number}" for number in range(20)]

        def enqueue(number: int) -> list[Job]:
            ordered = keys if number % 2 else keys[::-1]
            return self.queue.enqueue([self.job(key=key) for key in ordered])

        stored = [job for jobs in self.side_by_side(enqueue) for job in jobs]
        assert sorted(str(job.key) for job in stored) == sorted(keys)
        assert {job.id for job in self.fetch()} == {job.id for job in stored}

    def test_jobs_with_a_history_keep_it(self) -> None:
        failed_before = failed(self.held()).applied()
        assert failed_before.status == FAILED
        job = self.job(errors=failed_before.errors, worker_ids=("w1",))
        self.queue.enqueue([job])
        assert self.stored(job).attempt == 2
