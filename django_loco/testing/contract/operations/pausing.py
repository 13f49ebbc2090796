"""The contract of pauses: of queues, and of tasks and tags."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ....core.job import READY, SUCCESSFUL, Job
from ....queues.base import Change
from ....queues.records.pauses import MOST_MOVED, JobPause
from ..case import HUNG_AFTER_SECONDS, THREADS, ContractCase, done, in_seconds, retry

TASK, TAG = JobPause("task", "shop.tasks.report"), JobPause("tag", 'odd "tag"')


class PauseContract(ContractCase):
    """The jobs of paused queues, tasks and tags wait."""

    def test_the_jobs_of_a_paused_queue_wait(self) -> None:
        assert self.queue.paused() == set()
        self.queue.pause("a")
        self.queue.pause("a")
        assert self.queue.paused() == {"a"}
        paused = [self.enqueue(queue_name="a"), self.enqueue(queue_name="a", tags=("t",), is_async=True)]
        deferred = self.enqueue(queue_name="a", run_after=in_seconds(0.01))
        other = self.enqueue(queue_name="b")
        assert [job.id for job in self.fetch(ahead=60)] == [other.id]
        assert self.fetch(queues=("a",), ahead=60) == self.fetch(tags=("t",), ahead=60) == []
        assert self.queue.resume("a")
        assert not self.queue.resume("a")
        assert self.queue.paused() == set()
        found: set[str] = set()
        deadline = time.monotonic() + HUNG_AFTER_SECONDS
        while deferred.id not in found:  # which is due soon, by a clock that may be another one
            assert time.monotonic() < deadline
            found |= {job.id for job in self.fetch(ahead=60)}
        assert found == {job.id for job in (*paused, deferred)}

    def test_a_paused_queue_takes_outcomes_and_has_any_name(self) -> None:
        name = 'odd\t"name"\n€ %s'
        held = self.held(queue_name=name)
        self.queue.pause(name)
        assert self.queue.finish([retry(held)]) == set()
        assert self.fetch() == []
        assert self.queue.resume(name)
        assert [job.id for job in self.fetch()] == [held.id]

    def of_task(self, **fields: Any) -> Job:
        """Enqueue a job of the task that is paused."""
        return self.enqueue(**{"task_path": TASK.name} | fields)

    def fetched(self, **claim: Any) -> list[str]:
        """Return the ids of all jobs that can be fetched."""
        ids: list[str] = []
        while jobs := self.fetch(threads=THREADS, **claim):
            ids += [job.id for job in jobs]
        return ids

    def test_the_jobs_of_a_paused_task_and_tag_wait(self) -> None:
        assert self.queue.paused_jobs() == set()
        early = [self.of_task(), self.enqueue(tags=("x", TAG.name)), self.of_task(is_async=True, tags=("x",))]
        for pause in (TASK, TAG, TASK):
            self.queue.pause_jobs(pause)
        assert self.queue.paused_jobs() == {TASK, TAG}
        late = [
            self.of_task(priority=5),
            self.enqueue(tags=(TAG.name,), queue_name="b"),
            self.of_task(tags=(TAG.name,)),
        ]
        others = [self.enqueue(), self.enqueue(tags=("x",)), self.enqueue(task_path="shop.tasks.report2")]
        assert sorted(self.fetched()) == sorted(job.id for job in others)
        for claim in ({"tags": ("x",)}, {"tags": ("x", TAG.name)}, {"queues": ("b", "default")}, {"tags": ()}):
            assert self.fetched(**claim) == []
        assert self.fetch(threads=0, coroutines=0, tags=("x",)) == []
        assert sum(number for (_, has), number in self.queue.counts().items() if has == READY) == 6
        assert self.queue.resume_jobs(TAG)
        assert not self.queue.resume_jobs(TAG)
        assert sorted(self.fetched()) == sorted([early[1].id, late[1].id])
        assert self.queue.resume_jobs(TASK)
        assert self.queue.paused_jobs() == set()
        assert sorted(self.fetched()) == sorted(job.id for job in (early[0], early[2], late[0], late[2]))

    def test_a_job_that_loses_its_paused_tag_waits_no_more(self) -> None:
        for pause in (TAG, JobPause("tag", "other")):
            self.queue.pause_jobs(pause)
        jobs = [self.enqueue(tags=(TAG.name,)), self.enqueue(tags=(TAG.name, "other"))]
        assert self.fetched() == []
        held = [self.stored(job) for job in jobs]
        after = [replace(job, tags=tuple(set(job.tags) - {TAG.name})) for job in held]
        assert self.queue.change([Change(before=b, after=a) for b, a in zip(held, after, strict=True)]) == set()
        assert self.fetched() == [jobs[0].id]
        assert self.fetched() == []

    def test_jobs_keep_their_order_through_a_pause(self) -> None:
        jobs = [self.of_task(), self.enqueue(), self.of_task(), self.of_task(priority=1), self.enqueue()]
        self.queue.pause_jobs(TASK)
        assert self.fetched() == [jobs[1].id, jobs[4].id]
        more = self.enqueue()
        self.queue.resume_jobs(TASK)
        assert self.fetched() == [job.id for job in (jobs[3], jobs[0], jobs[2], more)]

    def test_a_paused_job_is_changed_like_any_other(self) -> None:
        self.queue.pause_jobs(TASK)
        kept, gone, moved, deferred = (self.of_task() for _ in range(4))
        assert self.fetched() == []
        assert [self.stored(job) for job in (kept, gone, moved)] == [kept, gone, moved]
        after = replace(moved, task_path="shop.tasks.other")
        later = replace(deferred, run_after=in_seconds(3600))
        changes = [
            Change(before=gone, after=None),
            Change(before=moved, after=after),
            Change(before=deferred, after=later),
            Change(before=kept, after=replace(kept, priority=3)),
        ]
        assert self.queue.change(changes) == set()
        assert {job.id for job in self.queue.list(status=READY)} == {kept.id, moved.id, deferred.id}
        self.queue.resume_jobs(TASK)
        assert self.fetched() == [kept.id, moved.id]

    def test_a_running_job_goes_on_and_its_retry_waits(self) -> None:
        first, second = self.held(task_path=TASK.name), self.held(task_path=TASK.name)
        self.queue.pause_jobs(TASK)
        assert self.queue.finish([done(first), retry(second)]) == set()
        assert self.stored(first).status == SUCCESSFUL
        assert self.fetched() == []
        self.queue.resume_jobs(TASK)
        assert self.fetched() == [second.id]

    def test_a_deferred_job_of_a_paused_task_becomes_due(self) -> None:
        self.queue.pause_jobs(TASK)
        job = self.of_task(run_after=in_seconds(0.01))
        assert self.fetch(ahead=60) == []
        self.queue.resume_jobs(TASK)
        deadline = time.monotonic() + HUNG_AFTER_SECONDS
        while not (found := self.fetch(ahead=60)):
            assert time.monotonic() < deadline
        assert [each.id for each in found] == [job.id]

    def test_many_jobs_of_a_paused_task_are_not_in_the_way(self) -> None:
        number = 2 * MOST_MOVED + 10
        jobs = [self.job(task_path=TASK.name) for _ in range(number)]
        self.queue.enqueue(jobs)
        self.queue.pause_jobs(TASK)
        other = self.enqueue()
        assert self.fetched() == [other.id]
        assert self.queue.resume_jobs(TASK)
        assert len(self.fetched()) == number
