"""The contract of ``fetch``."""

from __future__ import annotations

import random
from typing import Any

from ...core.job import RUNNING, SUCCESSFUL, Job, utcnow
from .case import HUNG_AFTER_SECONDS, ContractCase, done, in_seconds

#: Tags that a text search might confuse with each other.
TAGS = ["a", "ab", "b", "A", 'a"', '"a"', "a,b", '","', ", ", "\n", '\n"a"', "%", "_", "\\", "ä", "[]", ""]


class FetchContract(ContractCase):
    """Each job goes to one worker, by priority, queue and tags."""

    def test_a_fetched_job_is_held(self) -> None:
        before = utcnow()
        job = self.enqueue()
        [held] = self.fetch(worker_id="worker-7")
        assert (held.id, held.status, held.worker_id) == (job.id, RUNNING, "worker-7")
        assert held.token
        assert held.started_at == held.last_attempted_at
        assert held.started_at is not None
        assert abs((held.started_at - before).total_seconds()) < HUNG_AFTER_SECONDS
        assert self.stored(job) == held
        assert self.fetch() == []

    def test_each_has_a_token_of_its_own(self) -> None:
        self.queue.enqueue([self.job() for _ in range(100)])
        assert len({job.token for job in self.fetch()}) == 100

    def test_an_empty_queue_gives_nothing(self) -> None:
        assert self.fetch() == []

    def test_the_order_is_priority_then_due_time_then_id(self) -> None:
        jobs = [
            self.job(priority=priority, **when)
            for priority in (-100, -1, 0, 1, 100)
            for when in ({"age": 5}, {"age": 30}, {"age": 1}, {"age": 60, "run_after": in_seconds(-10)})
        ]
        same_time = utcnow()
        jobs += [self.job(enqueued_at=same_time) for _ in range(10)]
        self.queue.enqueue(random.sample(jobs, len(jobs)))
        expected = sorted(jobs, key=lambda job: (-job.priority, job.due_at, job.id))
        taken: list[Job] = []
        while batch := self.fetch(threads=4):
            taken += batch
        assert [job.id for job in taken] == [job.id for job in expected]

    def test_sync_and_async_jobs_come_in_one_order(self) -> None:
        jobs = [self.job(priority=priority, is_async=priority % 2 == 0) for priority in (3, 9, 4, 1, 8)]
        self.queue.enqueue(jobs)
        assert [job.priority for job in self.fetch()] == [9, 8, 4, 3, 1]

    def test_what_is_not_due_stays(self) -> None:
        later, earlier = self.enqueue(run_after=in_seconds(3600)), self.enqueue(run_after=in_seconds(-3600))
        assert [job.id for job in self.fetch()] == [earlier.id]
        assert self.stored(later) == later

    def test_a_clock_that_is_ahead_delays_nothing(self) -> None:
        job = self.enqueue(age=-3600)
        assert [held.id for held in self.fetch()] == [job.id]

    def test_what_is_not_due_hides_nothing(self) -> None:
        self.queue.enqueue([self.job(priority=priority, run_after=in_seconds(3600)) for priority in (0, 5, 100)])
        expected = [self.enqueue(priority=priority).id for priority in (5, 3, 0, -3)]
        assert [job.id for job in self.fetch(threads=10)] == expected

    def test_sync_and_async_jobs_have_room_of_their_own(self) -> None:
        self.queue.enqueue([self.job(is_async=number % 2 == 0) for number in range(20)])
        assert [job.is_async for job in self.fetch(threads=3, coroutines=0)] == [False] * 3
        assert [job.is_async for job in self.fetch(threads=0, coroutines=4)] == [True] * 4
        assert sorted(job.is_async for job in self.fetch(threads=2, coroutines=5)) == [False] * 2 + [True] * 5
        assert self.fetch(threads=0, coroutines=0) == []
        assert len(self.fetch()) == 6

    def test_the_best_are_taken_when_there_is_little_room(self) -> None:
        self.queue.enqueue([self.job(priority=priority) for priority in (1, 5, 3, 5, 2)])
        assert [job.priority for job in self.fetch(threads=3)] == [5, 5, 3]

    def test_only_of_the_given_queues(self) -> None:
        self.queue.enqueue([self.job(queue_name=name) for name in ("a", "b", "c", "b", "ab", "")])
        assert [job.queue_name for job in self.fetch(queues=("a",))] == ["a"]
        assert [job.queue_name for job in self.fetch(queues=("c", "b"), threads=2)] == ["b", "c"]
        assert self.fetch(queues=("nobody's",)) == []
        assert self.fetch(queues=()) == []
        assert sorted(job.queue_name for job in self.fetch(queues=None)) == ["", "ab", "b"]

    def test_only_with_the_given_tags(self) -> None:
        self.queue.enqueue([self.job(tags=tags) for tags in (("a",), ("b", "a"), ("c",), (), ("ab",))])
        assert [job.tags for job in self.fetch(tags=())] == [()]
        assert sorted(job.tags for job in self.fetch(tags=("a",))) == [("a",), ("b", "a")]
        assert sorted(job.tags for job in self.fetch(tags=("x", "c"))) == [("c",)]
        assert self.fetch(tags=("a",)) == []
        assert [job.tags for job in self.fetch(tags=None)] == [("ab",)]

    def test_the_order_holds_across_queues_and_tags(self) -> None:
        tags: list[tuple[str, ...]] = [(), ("t",), ("u", "t"), ("u",), ("v",)]
        jobs = [
            self.job(queue_name=name, tags=tags[number], priority=priority, age=7 * number % 5)
            for name in ("a", "b", "c")
            for number in range(5)
            for priority in (-5, 0, 5)
        ]
        self.queue.enqueue(random.sample(jobs, len(jobs)))
        left = sorted(jobs, key=lambda job: (-job.priority, job.due_at, job.id))
        claims: list[dict[str, Any]] = [
            {"queues": ("c", "a")},
            {"tags": ("u", "t")},
            {"tags": ()},
            {"queues": ("b",), "tags": ("t", "v")},
        ]
        for wanted in claims:
            accepted = [job for job in left if _accepts(job, **wanted)]
            assert [job.id for job in self.fetch(threads=7, **wanted)] == [job.id for job in accepted[:7]], wanted
            left = [job for job in left if job not in accepted[:7]]

    def test_no_tag_is_taken_for_another(self) -> None:
        self.queue.enqueue([self.job(tags=(tag,)) for tag in TAGS])
        for tag in TAGS:
            assert [job.tags for job in self.fetch(tags=(tag,))] == [(tag,)], tag

    def test_queues_tags_and_room_hold_together(self) -> None:
        wanted: dict[str, Any] = {"queue_name": "a", "tags": ("t",), "is_async": True}
        for other in ({"queue_name": "b"}, {"tags": ()}, {"is_async": False}):
            self.enqueue(priority=5, **wanted | other)
        job = self.enqueue(**wanted)
        assert [found.id for found in self.fetch(queues=("a",), tags=("t",), threads=0, coroutines=9)] == [job.id]

    def test_threads_at_once_get_each_job_once(self) -> None:
        jobs = [self.job(is_async=number % 3 == 0, priority=number % 2) for number in range(2_000)]
        self.queue.enqueue(jobs)

        def work(number: int) -> list[str]:
            mine: list[str] = []
            while batch := self.fetch(worker_id=f"worker-{number}", threads=7 + number, coroutines=5):
                assert {job.worker_id for job in batch} == {f"worker-{number}"}
                assert self.queue.finish([done(job) for job in batch]) == set()
                mine += [job.id for job in batch]
            return mine

        taken = [job_id for mine in self.side_by_side(work) for job_id in mine]
        # A thread may have stopped while others held the remaining jobs. These are fetched here.
        taken += [job.id for job in self.fetch()]
        assert sorted(taken) == sorted(job.id for job in jobs)
        assert self.queue.counts()["default", SUCCESSFUL] >= 1_000


def _accepts(job: Job, queues: tuple[str, ...] | None = None, tags: tuple[str, ...] | None = None) -> bool:
    if queues is not None and job.queue_name not in queues:
        return False
    return tags is None or (not set(tags).isdisjoint(job.tags) if tags else not job.tags)
