"""The contract of ``change``, with which people operate on jobs, and of ``lost``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....conf import loco_settings
from ....core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, JobSummary, Outcome, utcnow
from ....queues.base import Change
from ..case import THREADS, ContractCase, done, error_of, failed, in_seconds, retry


class ChangeContract(ContractCase):
    """Changes of jobs that no worker holds."""

    def changed(self, job: Job, **fields: Any) -> Job:
        """Change ``job`` in its present state. Return its state after the change."""
        before = self.stored(job)
        after = replace(before, **fields)
        assert self.queue.change([Change(before=before, after=after)]) == set()
        assert self.stored(job) == after
        return after

    def retried(self, job: Job) -> Job:
        """Make a finished job ready again."""
        return self.changed(job, status=READY, run_after=utcnow(), finished_at=None)

    def cancelled(self, job: Job) -> Job:
        """Make a waiting job fail as cancelled."""
        return self.changed(job, status=FAILED, finished_at=utcnow(), errors=(*job.errors, error_of("cancelled")))

    def test_no_change_changes_nothing(self) -> None:
        assert self.queue.change([]) == set()

    def test_a_failed_job_can_run_again_with_its_history(self) -> None:
        self.queue.finish([failed(job := self.held())])
        ready = self.retried(job)
        assert (len(ready.errors), len(ready.worker_ids), ready.attempt) == (1, 1, 2)
        assert self.queue.counts() == {("default", READY): 1}
        [again] = self.fetch()
        assert (again.id, again.errors, again.started_at) == (job.id, ready.errors, job.started_at)
        assert self.queue.finish([done(again)]) == set()
        assert self.queue.counts() == {("default", SUCCESSFUL): 1}

    def test_a_retried_job_comes_after_those_that_waited_already(self) -> None:
        self.queue.finish([failed(job := self.held(age=60))])
        waiting = self.enqueue(age=30)
        self.retried(job)
        assert [fetched.id for fetched in self.fetch()] == [waiting.id, job.id]

    def test_a_waiting_job_that_is_cancelled_never_runs(self) -> None:
        jobs = [self.enqueue(), self.enqueue(run_after=in_seconds(60)), self.enqueue(tags=("a", "b"), is_async=True)]
        for job in jobs:
            self.cancelled(job)
        assert self.fetch(ahead=120) == []
        assert self.fetch(tags=("a",)) == []
        assert self.queue.counts() == {("default", FAILED): 3}
        assert {job.id for job in self.queue.list(status=FAILED)} == {job.id for job in jobs}
        assert self.queue.oldest_due() is None
        assert self.queue.prune(-60) == 3

    def test_a_waiting_job_can_be_changed(self) -> None:
        first, second = self.enqueue(age=60), self.enqueue(age=30)
        self.changed(second, priority=7, arguments='[[1],{"a":2}]', queue_name="other", tags=("t",))
        assert self.queue.counts() == {("default", READY): 1, ("other", READY): 1}
        assert [job.id for job in self.fetch(queues=("other",), tags=("t",))] == [second.id]
        assert [job.id for job in self.fetch()] == [first.id]

    def test_a_waiting_job_can_be_put_off_and_made_due(self) -> None:
        job = self.enqueue()
        self.changed(job, run_after=in_seconds(3600))
        assert self.fetch() == []
        self.changed(job, run_after=in_seconds(-1))
        assert [fetched.id for fetched in self.fetch()] == [job.id]

    def test_a_job_that_waits_for_its_retry_can_be_made_due(self) -> None:
        self.queue.finish([retry(job := self.held(), run_after=in_seconds(3600))])
        self.changed(job, run_after=utcnow())
        [again] = self.fetch()
        assert (again.id, again.attempt) == (job.id, 2)

    def test_what_is_deleted_is_gone(self) -> None:
        self.queue.finish([done(ended := self.held()), failed(broken := self.held())])
        waiting, later = self.enqueue(tags=("t",)), self.enqueue(run_after=in_seconds(60))
        jobs = [self.stored(job) for job in (ended, broken, waiting, later)]
        assert self.queue.change([Change(before=job, after=None) for job in jobs]) == set()
        assert self.queue.list() == []
        assert self.queue.counts() == {}
        assert self.fetch(ahead=120) == []
        assert self.queue.prune(-60) == 0

    def test_the_key_of_a_deleted_job_stays_known(self) -> None:
        waiting, ended = self.enqueue(key="s@1"), self.held_with_key("s@2")
        self.queue.finish([done(ended)])
        changes = [Change(before=self.stored(job), after=None) for job in (waiting, ended)]
        refused = self.queue.change(changes)
        gone = {waiting.id, ended.id} - refused
        assert {summary.id for summary in self.queue.series("s")} == refused
        assert all((self.queue.get(job_id) is None) == (job_id in gone) for job_id in (waiting.id, ended.id))
        assert self.queue.enqueue([self.job(key="s@1"), self.job(key="s@2")]) == []

    def test_the_key_of_a_deleted_job_stays_known_for_the_grace_time_of_its_schedule(self) -> None:
        self.queue.finish([done(ended := self.held_with_key("s@1"), at=in_seconds(-7_200))])
        self.queue.change([Change(before=self.stored(ended), after=None)])
        self.queue.prune(loco_settings().RESULT_TTL)
        assert self.queue.enqueue([self.job(key="s@1")]) == []

    def test_the_key_of_a_job_that_runs_again_stays_known(self) -> None:
        held = self.held_with_key("s@1")
        self.queue.finish([failed(held, at=in_seconds(-86_400))])
        self.retried(held)
        assert self.queue.prune(0) == 0
        assert self.queue.enqueue([self.job(key="s@1")]) == []

    def test_a_waiting_job_may_take_a_once_key(self) -> None:
        job = self.enqueue(unique_key="5" * 64, unique_until="finished", options={"timeout": 5})
        after = self.changed(job, key="s@1", arguments="[[2],{}]", run_after=in_seconds(-1))
        assert self.queue.series("s") == [JobSummary.of(after)]
        assert self.queue.enqueue([self.job(key="s@1")]) == []
        [held] = self.fetch()
        assert held.key == "s@1"
        self.queue.finish([done(held, at=in_seconds(-120))])
        self.queue.prune(60)
        assert self.queue.enqueue([self.job(key="s@1")]) == []

    def test_a_once_key_that_is_known_is_not_taken(self) -> None:
        self.enqueue(key="s@1")
        jobs = [self.stored(self.enqueue()) for _ in range(4)]
        keys = ("s@1", "s@2", "s@2", None)
        after = [replace(job, priority=3, key=key) for job, key in zip(jobs, keys, strict=True)]
        changes = [Change(before=job, after=wanted) for job, wanted in zip(jobs, after, strict=True)]
        assert self.queue.change(changes) == {jobs[0].id, jobs[2].id}
        assert [self.stored(job) for job in jobs] == [jobs[0], after[1], jobs[2], after[3]]

    def test_of_threads_at_once_one_takes_a_once_key(self) -> None:
        jobs = [self.stored(self.enqueue()) for _ in range(THREADS)]

        def take(number: int) -> set[str]:
            return self.queue.change([Change(before=jobs[number], after=replace(jobs[number], key="s@1"))])

        assert sum(not refused for refused in self.side_by_side(take)) == 1
        assert len(self.queue.series("s")) == 1

    def held_with_key(self, key: str) -> Job:
        """Store and fetch a job in a queue of its own."""
        job = self.enqueue(key=key, queue_name="keyed")
        [held] = self.fetch(queues=("keyed",))
        assert held.id == job.id
        return held

    def test_a_series_shows_what_was_changed(self) -> None:
        job = self.enqueue(key="s@1")
        after = self.cancelled(job)
        assert self.queue.series("s") == [JobSummary.of(after)]
        after = self.retried(job)
        assert self.queue.series("s") == [JobSummary.of(after)]

    def test_all_fields_survive_a_change(self) -> None:
        self.queue.finish([retry(job := self.held(metadata='{"a":1}', options={"timeout": 5}, tags=("t",)))])
        before = self.stored(job)
        after = replace(before, priority=3)
        assert self.queue.change([Change(before=before, after=after)]) == set()
        assert self.stored(job) == after

    def test_a_held_job_is_not_changed(self) -> None:
        before = self.enqueue()
        [held] = self.fetch()
        assert self.refuses(before)
        assert self.stored(held) == held
        assert self.queue.finish([done(held)]) == set()

    def test_a_job_that_was_changed_since_is_not_changed(self) -> None:
        before = self.enqueue()
        self.changed(before, priority=1)
        assert self.refuses(before)

        self.queue.finish([failed(self.fetch()[0])])
        ended = self.stored(before)
        assert self.refuses(before)
        self.retried(before)
        assert self.refuses(ended)

        self.queue.finish([Outcome.released(self.fetch()[0])])
        self.queue.finish([failed(self.fetch()[0], "again")])
        assert self.refuses(ended)

    def test_a_deleted_job_is_not_changed(self) -> None:
        before = self.enqueue()
        assert self.queue.change([Change(before=before, after=None)]) == set()
        assert self.queue.change([Change(before=before, after=None)]) == {before.id}
        assert self.queue.change([Change(before=before, after=replace(before, priority=1))]) == {before.id}
        assert self.queue.get(before.id) is None

    def refuses(self, before: Job) -> bool:
        """Whether the queue refuses to delete and to change a job, and keeps it as it is."""
        stored, counts = self.stored(before), self.queue.counts()
        for after in (None, replace(before, priority=9)):
            assert self.queue.change([Change(before=before, after=after)]) == {before.id}
        return self.stored(before) == stored and self.queue.counts() == counts

    def test_of_many_who_change_a_job_one_wins(self) -> None:
        before = self.enqueue()
        refused = self.side_by_side(
            lambda number: self.queue.change([Change(before=before, after=replace(before, priority=number + 1))])
        )
        assert sorted(map(len, refused)) == [0] + [1] * (THREADS - 1)
        assert self.queue.counts() == {("default", READY): 1}

    def test_a_job_is_fetched_or_cancelled_but_not_both(self) -> None:
        jobs = [self.job() for _ in range(40 * THREADS)]
        self.queue.enqueue(jobs)

        def work(number: int) -> set[str]:
            if number % 2:
                return {job.id for job in self.fetch(threads=len(jobs) // THREADS)}
            part = jobs[number // 2 :: THREADS // 2]
            after = [replace(job, status=FAILED, finished_at=utcnow()) for job in part]
            changes = [Change(before=job, after=end) for job, end in zip(part, after, strict=True)]
            return {job.id for job in part} - self.queue.change(changes)

        won = [job_id for ids in self.side_by_side(work) for job_id in ids]
        assert len(won) == len(set(won))
        assert self.queue.counts(limit=len(jobs)).get(("default", READY), 0) == len(jobs) - len(won)

    def test_what_is_held_no_longer_is_lost(self) -> None:
        held, ended, again = self.held(), self.held(), self.held()
        self.queue.finish([done(ended), Outcome.released(again)])
        self.fetch()
        assert self.queue.lost([held, ended, again]) == {ended.id, again.id}
        assert self.queue.lost([self.job(token="t")]) != set()
        assert self.queue.lost([]) == set()
        assert self.stored(held).status == RUNNING
