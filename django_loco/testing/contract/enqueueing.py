"""The contract of ``enqueue``, ``restore`` and ``get``."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from ...core.job import FAILED, READY, SUCCESSFUL, Job, new_id, utcnow
from .case import ContractCase, done, error_of, failed, in_seconds

#: Texts that stores may mangle: quotes, escapes, NUL, line ends, beyond the basic plane, a lone surrogate.
NASTY = ["", "'\"`", "\\", "%s %(x)s {y}", "\x00", "a\x00b", "\r\n\t", "ä€𝄞", "\ud800", "NULL", "[1]", "x" * 300]


#: The fields that keep their defaults until a worker claims the job, runs it or stores an outcome; and its batch.
SET_LATER = {
    "status",
    "started_at",
    "last_attempted_at",
    "finished_at",
    "return_value",
    "checkpoint",
    "steps",
    "waits",
    "signals",
    "token",
    "worker_id",
    "batch",  # see BatchContract
}


class EnqueueContract(ContractCase):
    """Jobs are stored unchanged. A once-key admits only one job, ever."""

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
            expires_at=in_seconds(7200).replace(microsecond=7),
            tags=("a", 'b "c"'),
            options={"max_attempts": 3, "backoff": [1, 2.5]},
            key="schedule:2026-11-21T05:42:00+00:00",
            unique_key="5" * 64,
            unique_until="finished",
            limit_key="api:7 db",
            lost=1,
            worker_ids=("w1", "w2"),
            errors=(failed(self.job()).error,),
            metadata='{"a":1}',
            progress='{"done":1}',
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


class RestoreContract(ContractCase):
    """Whole jobs are stored with their ids and histories. Existing jobs are not changed."""

    def ended(self, *, age: float = 60, **given: Any) -> Job:
        """Return a job that succeeded ``age`` seconds ago. It is not stored."""
        at = utcnow() - timedelta(seconds=age)
        times = {"started_at": at, "last_attempted_at": at, "finished_at": at}
        return self.job(age=age, **times | {"status": SUCCESSFUL, "worker_ids": ("w1",), "return_value": "7"} | given)

    def test_nothing_is_restored_of_nothing(self) -> None:
        assert self.queue.restore([]) == set()

    def test_jobs_are_stored_with_their_histories(self) -> None:
        jobs = [
            self.job(tags=("a", 'b "c"'), is_async=True, priority=-3, key="s@1", metadata='{"a":1}', checkpoint="[1]"),
            self.job(run_after=in_seconds(3600), errors=(error_of("no"),), worker_ids=("w1", "", "", "w2"), lost=1),
            self.ended(key="s@2", options={"text": NASTY}, queue_name="e-mails 'ü'"),
            self.ended(status=FAILED, return_value=None, errors=(error_of("no"), error_of("never"))),
        ]
        assert self.queue.restore(jobs) == {job.id for job in jobs}
        assert [self.stored(job) for job in jobs] == jobs
        assert self.queue.list() == sorted(jobs, key=lambda job: job.id, reverse=True)
        assert [job.id for job in self.queue.list(status=FAILED)] == [jobs[3].id]
        assert {summary.id for summary in self.queue.series("s")} == {jobs[0].id, jobs[2].id}
        assert self.queue.counts() == {
            ("default", READY): 2,
            ("e-mails 'ü'", SUCCESSFUL): 1,
            ("default", FAILED): 1,
        }

    def test_only_what_waits_and_is_due_runs(self) -> None:
        self.queue.restore([waiting := self.job(tags=("t",)), self.job(run_after=in_seconds(3600)), self.ended()])
        [held] = self.fetch(tags=("t",))
        assert held.id == waiting.id
        assert self.fetch() == []
        assert self.queue.finish([done(held)]) == set()
        assert self.queue.counts() == {("default", READY): 1, ("default", SUCCESSFUL): 2}

    def test_jobs_that_exist_are_left_alone(self) -> None:
        held, waiting = self.held(), self.enqueue()
        new = self.job()
        again = [replace(held, status=READY, token=None, worker_id=None), replace(waiting, priority=9), new, new]
        assert self.queue.restore(again) == {new.id}
        assert self.queue.restore(again) == set()
        assert self.queue.lost([held]) == set()
        assert self.stored(waiting) == waiting
        assert len(self.queue.list()) == 3

    def test_a_known_once_key_is_refused(self) -> None:
        self.enqueue(key="a@1")
        same = [self.job(key="b@1"), self.job(key="b@1")]
        [stored] = self.queue.restore([self.job(key="a@1"), self.ended(key="a@1"), *same])
        assert stored in {job.id for job in same}

    def test_the_once_key_of_a_restored_job_is_known(self) -> None:
        self.queue.restore([self.job(key="a@1"), self.ended(key="a@2", age=1)])
        assert self.queue.enqueue([self.job(key="a@1"), self.job(key="a@2")]) == []

    def test_what_was_restored_can_be_changed_and_pruned(self) -> None:
        old, young = self.ended(age=3600), self.ended(age=0)
        self.queue.restore([young, old])
        assert self.queue.prune(60) == 1
        assert self.queue.list() == [young]

    def test_jobs_of_one_priority_keep_their_order(self) -> None:
        jobs = [self.job(age=age) for age in (20, 30, 10)]
        self.queue.restore(jobs)
        assert [job.id for job in self.fetch()] == [jobs[1].id, jobs[0].id, jobs[2].id]

    def test_of_threads_that_restore_the_same_one_stores_each_job(self) -> None:
        jobs = [self.job(key=f"s@{number}" if number % 2 else None) for number in range(50)]
        stored = self.side_by_side(lambda _: self.queue.restore(jobs))
        assert sorted(job_id for ids in stored for job_id in ids) == sorted(job.id for job in jobs)
        assert self.queue.counts() == {("default", READY): 50}
