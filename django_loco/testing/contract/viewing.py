"""The contract of the methods that inspect a queue, and of those that clean it up."""

from __future__ import annotations

import time

from ...core.job import FAILED, READY, RUNNING, SUCCESSFUL
from .case import ContractCase, done, failed, in_seconds, retry


class ViewContract(ContractCase):
    """``list``, ``counts``, ``oldest_due``, ``prune`` and ``clear``."""

    def test_an_empty_queue_has_nothing_to_show(self) -> None:
        assert self.queue.list() == []
        assert self.queue.counts() == {}
        assert self.queue.oldest_due() is None
        assert self.queue.prune(0) == 0

    def test_the_newest_are_listed_first(self) -> None:
        jobs = []
        for _ in range(5):
            jobs.append(self.enqueue())
            time.sleep(0.002)  # ids tell milliseconds apart
        assert self.queue.list() == jobs[::-1]
        assert self.queue.list(limit=2) == jobs[:2:-1]

    def test_a_status_can_be_asked_for(self) -> None:
        self.queue.finish([done(first := self.held())])
        self.queue.finish([failed(second := self.held())])
        third, fourth = self.held(), self.enqueue()
        wanted = {SUCCESSFUL: first, FAILED: second, RUNNING: third, READY: fourth}
        for status, job in wanted.items():
            assert [found.id for found in self.queue.list(status=status)] == [job.id]
            assert self.queue.list(status=status) == [self.stored(job)]

    def test_jobs_are_counted_by_queue_and_status(self) -> None:
        self.queue.enqueue([self.job(queue_name="a") for _ in range(3)])
        self.queue.finish([done(job) for job in self.fetch(threads=2)])
        self.queue.enqueue([self.job(queue_name="b"), self.job(queue_name="b", run_after=in_seconds(60))])
        assert self.queue.counts() == {("a", READY): 1, ("a", SUCCESSFUL): 2, ("b", READY): 2}

    def test_a_count_can_end_early(self) -> None:
        self.queue.enqueue(
            [self.job(queue_name=name, tags=tags) for name in "aab" for tags in ((), ("t",), ("u", "t"))]
        )
        self.queue.finish([done(job) for job in self.fetch(queues=("a",), threads=3)])
        exact = {("a", READY): 3, ("a", SUCCESSFUL): 3, ("b", READY): 3}
        assert self.queue.counts() == self.queue.counts(limit=3) == self.queue.counts(limit=100) == exact
        assert self.queue.counts(limit=2) == dict.fromkeys(exact, 2)

    def test_the_newest_of_several_queues_are_listed_first(self) -> None:
        jobs = [self.job(queue_name=name) for name in "abcab"]
        self.queue.enqueue(jobs)
        newest = sorted((job.id for job in jobs), reverse=True)
        assert [job.id for job in self.queue.list(status=READY, limit=3)] == newest[:3]
        self.queue.finish([done(job) for job in self.fetch()])
        assert [job.id for job in self.queue.list(status=SUCCESSFUL, limit=3)] == newest[:3]

    def test_the_oldest_due(self) -> None:
        deferred = self.job(queue_name="a", run_after=in_seconds(3600), priority=5)
        oldest = self.job(queue_name="b", age=60, priority=-5, is_async=True)
        due = self.job(queue_name="c", age=90, run_after=in_seconds(-20))
        self.queue.enqueue([deferred, oldest, due, self.job(queue_name="c", priority=9)])
        assert self.queue.oldest_due() == oldest.due_at
        assert self.queue.oldest_due(queues=("a",)) is None
        assert self.queue.oldest_due(queues=("a", "c")) == due.due_at
        assert self.queue.oldest_due(queues=()) is None

    def test_what_is_held_or_ended_is_not_due(self) -> None:
        self.enqueue(age=60)
        self.queue.finish([done(job) for job in self.fetch()])
        self.enqueue(age=30)
        self.fetch()
        assert self.queue.oldest_due() is None

    def test_only_what_ended_long_ago_is_pruned(self) -> None:
        self.queue.enqueue([self.job() for _ in range(4)])
        old, young, broken, again = self.fetch()
        long_ago = in_seconds(-3600)
        outcomes = [done(old, at=long_ago), done(young), failed(broken, at=long_ago), retry(again, at=long_ago)]
        self.queue.finish(outcomes)
        self.enqueue(age=7200)
        assert self.queue.prune(older_than=1800) == 2
        assert (self.queue.get(old.id), self.queue.get(broken.id)) == (None, None)
        assert self.queue.counts() == {("default", SUCCESSFUL): 1, ("default", READY): 2}

    def test_no_more_than_asked_for_is_pruned(self) -> None:
        self.queue.enqueue([self.job() for _ in range(10)])
        self.queue.finish([done(job, at=in_seconds(-60)) for job in self.fetch()])
        assert [self.queue.prune(older_than=1, limit=4) for _ in range(4)] == [4, 4, 2, 0]

    def test_clear_leaves_nothing(self) -> None:
        self.queue.finish([done(self.held(key="k"))])
        self.held()
        self.enqueue()
        self.queue.clear()
        assert self.queue.counts() == {}
        assert self.fetch() == []
        self.enqueue(key="k")
