"""The contract of limited jobs beside other jobs: their order, and other operations on them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

from django.test import override_settings

from ....core.job import READY, RUNNING, Job, utcnow
from ....queues.base import Change
from ....queues.records.pauses import JobPause
from ....queues.workers import WorkerInfo
from ..case import done, in_seconds
from .limit_case import LimitCase, key_of
from .unique_case import cancelled


class LimitedJobContract(LimitCase):
    """Apart from their limits, jobs with limits are handed over and changed like all others."""

    def test_plain_jobs_pass_by(self) -> None:
        self.limited("api", 100, age=60)
        assert len(self.taken()) == 2
        plain = self.enqueue()
        assert [job.id for job in self.taken(threads=1)] == [plain.id]

    def test_the_order_is_that_of_all_jobs(self) -> None:
        jobs = [
            self.job(priority=priority, age=age, limit_key=limit_key)
            for priority in (-5, 0, 5)
            for age, limit_key in ((9, None), (8, "wide"), (7, None), (6, "wide"), (5, "wide"), (4, None))
        ]
        self.queue.enqueue(random.sample(jobs, len(jobs)))
        expected = sorted(jobs, key=lambda job: (-job.priority, job.due_at, job.id))
        taken: list[Job] = []
        while batch := self.taken(threads=2):
            taken += batch
        assert [job.id for job in taken] == [job.id for job in expected]

    def test_sync_and_async_jobs_share_a_limit(self) -> None:
        self.limited("api", 2)
        self.limited("api", 2, is_async=True)
        assert len(self.taken(coroutines=0, threads=1)) == 1
        assert len(self.taken()) == 1

    def test_keys_take_turns(self) -> None:
        self.limited("wide:big", 100, age=60)
        self.limited("wide:small", 1)
        assert set(key_of(self.taken(threads=2))) == {"wide:big", "wide:small"}

    def test_keys_have_equal_shares(self) -> None:
        for number in range(20):
            self.limited(f"wide:{number}", 3 * (1 + number % 3))
        seen: Counter[str | None] = Counter()
        for _ in range(30):
            seen.update(key_of(self.taken(threads=2)))
        assert set(seen.values()) == {3}

    def test_a_claim_says_which_jobs(self) -> None:
        self.limited("wide:1", 1, queue_name="mail")
        self.limited("wide:1", 1, tags=("a", "b"))
        self.limited("wide:2", 1, is_async=True)
        assert self.taken(queues=("other",)) == []
        assert self.taken(tags=("c",)) == []
        assert [job.queue_name for job in self.taken(queues=("mail", "other"), tags=())] == ["mail"]
        assert [job.tags for job in self.taken(tags=("b", "c"))] == [("a", "b")]
        assert self.taken(coroutines=0) == []
        assert key_of(self.taken(threads=0)) == ["wide:2"]

    def test_a_job_with_several_wanted_tags_is_handed_over_once_and_in_its_turn(self) -> None:
        jobs = [
            self.job(limit_key="wide", age=age, tags=tags)
            for age, tags in ((5, ("a", "b")), (4, ("c",)), (3, ("b",)), (2, ("a",)), (1, ("b", "c", "a")))
        ]
        self.queue.enqueue(jobs)
        taken = [self.taken(threads=2, tags=("a", "b")) for _ in range(3)]
        wanted = [job.id for job in jobs if job.tags != ("c",)]
        assert [job.id for few in taken for job in few] == wanted

    def test_a_plain_job_with_several_wanted_tags_passes_a_limited_one_once(self) -> None:
        jobs = [
            self.job(priority=9, tags=("a", "b")),
            self.job(priority=5, tags=("a",), limit_key="wide"),
            self.job(priority=-5, tags=("a",)),
        ]
        self.queue.enqueue(jobs)
        taken = [self.taken(threads=2, tags=("a", "b")) for _ in range(2)]
        assert [{job.id for job in few} for few in taken] == [{jobs[0].id, jobs[1].id}, {jobs[2].id}]

    def test_keys_beside_a_full_one_do_not_hold_others_up(self) -> None:
        """Jobs of thousands of customers may wait for a service that all customers share."""
        self.queue.enqueue([self.job(limit_key=f"api wide:{number}", age=60) for number in range(700)])
        assert len(self.taken()) == 2
        [other] = self.limited("wide:other", 1)
        assert [job.id for job in self.taken()] == [other.id]
        assert self.taken() == []

    def test_many_closed_keys_do_not_hold_others_up(self) -> None:
        self.queue.enqueue([self.job(limit_key="steady", age=90)])
        assert len(self.taken()) == 1
        self.queue.enqueue([self.job(limit_key=f"steady wide:{number}", age=60) for number in range(1_200)])
        [other] = self.limited("wide:other", 1)
        taken: list[Job] = []
        for _ in range(4):
            taken += self.taken()
        assert [job.id for job in taken] == [other.id]

    def test_a_job_that_is_not_due_waits(self) -> None:
        [later] = self.limited("wide", 1, run_after=in_seconds(3600), priority=9)
        [due] = self.limited("wide", 1, run_after=in_seconds(-1))
        assert [job.id for job in self.taken()] == [due.id]
        now = replace(later, run_after=None)
        assert self.queue.change([Change(before=later, after=now)]) == set()
        assert [job.id for job in self.taken()] == [later.id]

    def test_pauses_hold_limited_jobs_back(self) -> None:
        self.limited("wide", 1, queue_name="mail")
        self.limited("wide", 1, task_path="shop.tasks.slow")
        self.limited("wide", 1, tags=("a",))
        self.queue.pause("mail")
        for pause in (JobPause("task", "shop.tasks.slow"), JobPause("tag", "a")):
            self.queue.pause_jobs(pause)
        assert self.taken() == []
        self.queue.resume("mail")
        assert [job.queue_name for job in self.taken()] == ["mail"]
        self.queue.resume_jobs(JobPause("task", "shop.tasks.slow"))
        assert [job.task_path for job in self.taken()] == ["shop.tasks.slow"]
        self.queue.resume_jobs(JobPause("tag", "a"))
        assert [job.tags for job in self.taken()] == [("a",)]

    def test_people_change_limited_jobs(self) -> None:
        first, second, third = self.limited("api", 3)
        assert self.queue.change([cancelled(first), Change(before=second, after=None)]) == set()
        assert [job.id for job in self.taken()] == [third.id]
        again = self.stored(first)
        ready = replace(again, status=READY, finished_at=None)
        assert self.queue.change([Change(before=again, after=ready)]) == set()
        self.limited("api", 1)
        assert [job.id for job in self.taken()] == [first.id]
        assert self.taken() == []

    def test_a_change_may_take_or_give_a_limit(self) -> None:
        [limited], plain = self.limited("api", 1), self.enqueue()
        free, bound = replace(limited, limit_key=None), replace(plain, limit_key="api:7")
        assert self.queue.change([Change(before=limited, after=free), Change(before=plain, after=bound)]) == set()
        assert self.queue.limit_use().waiting == {"api:7": 1}
        assert {job.id for job in self.taken()} == {limited.id, plain.id}
        assert self.queue.limit_use().running == {"api:7": 1}

    def test_a_restored_job_obeys_its_limits(self) -> None:
        jobs = [self.job(limit_key="api") for _ in range(3)]
        assert len(self.queue.restore(jobs)) == 3
        assert len(self.taken()) == 2
        assert self.taken() == []

    def test_limited_jobs_are_seen_as_all_others(self) -> None:
        [job] = self.limited("api", 1)
        self.limited("api", 2, queue_name="mail")
        assert self.stored(job) == job
        assert self.queue.counts() == {("default", READY): 1, ("mail", READY): 2}
        assert len(self.queue.list(status=READY)) == 3
        assert len(self.queue.list(status=READY, queue_name="mail")) == 2
        held = self.taken(queues=("default",))
        assert self.queue.counts() == {("default", RUNNING): 1, ("mail", READY): 2}
        self.queue.finish([done(held[0])])
        assert self.stored(job).limit_key == "api"

    def test_the_oldest_due_job_is_one_without_limits(self) -> None:
        self.limited("api", 1, age=60)
        assert self.queue.oldest_due() is None
        plain = self.enqueue(age=30)
        assert self.queue.oldest_due() == self.queue.oldest_due((plain.queue_name,)) == plain.due_at

    def test_the_oldest_limited_job_is_due(self) -> None:
        assert self.queue.oldest_limited() is None
        self.enqueue(age=90)
        self.limited("api", 1, run_after=in_seconds(60))
        assert self.queue.oldest_limited() is None
        [mail], [late] = (
            self.limited("api", 1, queue_name="mail", age=60, priority=-5),
            self.limited("wide:1", 1, age=30),
        )
        self.limited("api", 2, age=10)
        assert self.queue.oldest_limited() == self.queue.oldest_limited(("mail", "default")) == mail.due_at
        assert self.queue.oldest_limited(("default",)) == late.due_at
        assert self.queue.oldest_limited(()) is None
        self.queue.pause("mail")
        assert self.queue.oldest_limited() == mail.due_at

    @override_settings(LOCO={"LIMITS": {"api": {"concurrency": 2}}})
    def test_limited_jobs_that_no_worker_takes_are_the_oldest(self) -> None:
        [job] = self.limited("api", 1, age=60)
        plain = self.enqueue(age=30)
        assert self.queue.oldest_waiting() == self.queue.oldest_waiting(("default",)) == job.due_at
        self.queue.register(_worker("other", queues=("mail",)))
        assert self.queue.oldest_waiting() == job.due_at
        self.queue.register(_worker("one", queues=("default",)))
        assert self.queue.oldest_waiting() == self.queue.oldest_waiting(("default",)) == plain.due_at
        self.queue.register(_worker("one", queues=("default",), state="quiet"))
        assert self.queue.oldest_waiting() == job.due_at
        self.queue.register(_worker("all"))
        assert self.queue.oldest_waiting() == plain.due_at


def _worker(worker_id: str, **given: Any) -> WorkerInfo:
    described: dict[str, Any] = {"host": "web-1", "pid": 7, "queues": None, "tags": None, "threads": 1, "coroutines": 1}
    return WorkerInfo(worker_id=worker_id, **described | {"lease": 60.0, "started_at": utcnow()} | given)
