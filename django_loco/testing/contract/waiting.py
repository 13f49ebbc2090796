"""The contract of waiting: ``wait`` and ``interrupt``, and jobs whose task or tag is paused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...core.job import READY, SUCCESSFUL, Job, Outcome
from ...queues.base import Change
from ...queues.records.pauses import MOST_MOVED, JobPause
from .case import HUNG_AFTER_SECONDS, THREADS, ContractCase, done, in_seconds, retry

TASK, TAG = JobPause("task", "shop.tasks.report"), JobPause("tag", 'odd "tag"')


class WaitContract(ContractCase):
    """News ends a wait, and so does an interrupt."""

    def test_a_wait_ends_by_itself(self) -> None:
        started = time.monotonic()
        self.queue.wait(0.05)
        self.queue.wait(0)
        self.queue.close()
        assert time.monotonic() - started < HUNG_AFTER_SECONDS

    def test_a_new_job_ends_it(self) -> None:
        assert self._first_fetched_after(self.enqueue)

    def test_a_restored_job_ends_it(self) -> None:
        assert self._first_fetched_after(lambda: self.queue.restore([self.job()]))

    def test_a_job_handed_back_ends_it(self) -> None:
        held = self.held()
        assert self._first_fetched_after(lambda: self.queue.finish([Outcome.released(held)]))

    def test_a_rescued_job_ends_it(self) -> None:
        self.enqueue()
        self.fetch(lease=0)
        assert self._first_fetched_after(self.queue.rescue)

    def test_many_jobs_one_after_the_other_are_all_noticed(self) -> None:
        fetched: list[str] = []

        def work() -> None:
            while len(fetched) < 200:
                self.queue.wait(HUNG_AFTER_SECONDS)
                fetched.extend(job.id for job in self.fetch())
            self.queue.close()

        self.queue  # noqa: B018 - made before the thread needs it
        worker = threading.Thread(target=work)
        worker.start()
        stored = [self.enqueue().id for _ in range(200)]
        worker.join(HUNG_AFTER_SECONDS / 2)
        if worker.is_alive():
            fetched += [""] * 200  # let it go
            self.queue.interrupt()
            worker.join()
        assert sorted(fetched) == sorted(stored)

    def test_an_interrupt_ends_every_wait(self) -> None:
        ended = threading.Event()

        def wait(_: int) -> float:
            started = time.monotonic()
            while not ended.is_set():
                self.queue.wait(HUNG_AFTER_SECONDS)
            return time.monotonic() - started

        self.queue  # noqa: B018 - made before the threads need it

        def end() -> None:
            ended.set()
            self.queue.interrupt()

        timer = threading.Timer(0.1, end)
        timer.start()
        assert max(self.side_by_side(wait, threads=3)) < HUNG_AFTER_SECONDS / 2
        timer.join()

    def test_an_interrupt_just_before_a_wait_is_not_lost(self) -> None:
        self.queue.wait(0)
        self.queue.interrupt()
        started = time.monotonic()
        self.queue.wait(HUNG_AFTER_SECONDS)
        self.queue.close()
        assert time.monotonic() - started < HUNG_AFTER_SECONDS / 2

    def _first_fetched_after(self, act: Callable[[], Any]) -> bool:
        """Wait and fetch in a thread, as a worker does; once it has nothing to do, ``act``."""
        idle, fetched = threading.Event(), threading.Event()

        def work() -> None:
            self.queue.wait(0.2)  # returns at once if something happened before
            while not fetched.is_set():
                idle.set()
                self.queue.wait(HUNG_AFTER_SECONDS)
                if self.fetch():
                    fetched.set()
            self.queue.close()

        self.queue  # noqa: B018 - made before the thread needs it
        worker = threading.Thread(target=work)
        worker.start()
        assert idle.wait(HUNG_AFTER_SECONDS)
        started = time.monotonic()
        act()
        in_time = fetched.wait(HUNG_AFTER_SECONDS / 2)
        fetched.set()
        self.queue.interrupt()
        worker.join()
        return in_time and time.monotonic() - started < HUNG_AFTER_SECONDS / 2


class PauseContract(ContractCase):
    """What a queue does with the jobs of paused tasks and tags."""

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
        assert sum(number for (_, has), number in self.queue.counts().items() if has == READY) == 6
        assert self.queue.resume_jobs(TAG)
        assert not self.queue.resume_jobs(TAG)
        assert sorted(self.fetched()) == sorted([early[1].id, late[1].id])
        assert self.queue.resume_jobs(TASK)
        assert self.queue.paused_jobs() == set()
        assert sorted(self.fetched()) == sorted(job.id for job in (early[0], early[2], late[0], late[2]))

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
