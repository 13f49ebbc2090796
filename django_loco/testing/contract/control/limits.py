"""The contract of limits: no fetch goes above one, and none leaves a job that may run."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ....core.job import READY, RUNNING, Job, Outcome
from ....core.job.limits import Limit, Limits
from ....queues.base import Change
from ....queues.records.pauses import JobPause
from ..case import THREADS, ContractCase, done, failed, in_seconds, retry
from .unique import cancelled

LIMITS: Limits = {
    "api": Limit(concurrency=2),
    "db": Limit(concurrency=3),
    "slow": Limit(rate="2/h", burst=2),
    "steady": Limit(rate="1/d"),
    "wide": Limit(concurrency=10_000, rate="1000000/s", burst=10_000),
}
HOUR = 3_600_000_000


class LimitCase(ContractCase):
    """Short methods for jobs that obey limits."""

    def taken(self, **given: Any) -> list[Job]:
        """Fetch as a worker that knows ``LIMITS``."""
        return self.fetch(**{"limits": LIMITS} | given)

    def limited(self, limit_key: str, number: int, **given: Any) -> list[Job]:
        """Store jobs with a limit key."""
        return self.queue.enqueue([self.job(limit_key=limit_key, **given) for _ in range(number)])


def key_of(jobs: list[Job]) -> list[str | None]:
    """Return the limit keys of ``jobs``."""
    return [job.limit_key for job in jobs]


class LimitContract(LimitCase):
    """A queue that hands over every job, because it does not know limits, fails here."""

    def test_no_more_run_at_once_than_the_limit_says(self) -> None:
        jobs = self.limited("api", 5)
        held = self.taken()
        assert [job.id for job in held] == [job.id for job in jobs[:2]]
        assert self.taken() == []
        self.queue.finish([done(held[0])])
        assert [job.id for job in self.taken()] == [jobs[2].id]
        assert self.taken() == []

    def test_each_key_is_limited_by_itself(self) -> None:
        self.limited("api:1", 3)
        self.limited("api:2", 1)
        self.limited("api", 3)
        assert Counter(key_of(self.taken())) == {"api:1": 2, "api:2": 1, "api": 2}
        assert self.taken() == []

    def test_a_job_obeys_all_its_limits(self) -> None:
        self.limited("api:1 db", 3)
        self.limited("api:2 db", 3)
        first = self.taken()
        assert len(first) == 3
        assert max(Counter(key_of(first)).values()) == 2
        self.limited("db", 1)
        assert self.taken() == []
        self.queue.finish([done(job) for job in first])
        assert len(self.taken()) == 3

    def test_a_limit_that_nobody_declares_is_none(self) -> None:
        self.limited("unknown:7", 5)
        assert len(self.taken()) == 5

    def test_every_end_of_a_run_makes_room(self) -> None:
        jobs = self.limited("api", 8)
        ends: list[Callable[[Job], Any]] = [
            lambda job: self.queue.finish([done(job)]),
            lambda job: self.queue.finish([failed(job)]),
            lambda job: self.queue.finish([retry(job, run_after=in_seconds(3600))]),
            lambda _: self.queue.rescue(),
        ]
        for number, end in enumerate(ends):
            [held] = self.taken(threads=1, lease=0.0)
            assert held.id == jobs[number].id
            end(held)
        assert len(self.taken(lease=0.0)) == 2
        assert self.taken() == []
        assert len(self.queue.rescue()) == 2
        assert len(self.taken()) == 2

    def test_an_outcome_that_is_refused_makes_no_room(self) -> None:
        self.limited("api", 3)
        held = self.taken()
        assert self.queue.finish([done(replace(held[0], token="another"))]) == {held[0].id}
        assert self.taken() == []

    def test_a_job_that_is_handed_back_keeps_its_place(self) -> None:
        jobs = self.limited("api", 4)
        held = self.taken()
        self.queue.finish([retry(held[0])])
        assert self.stored(held[0]).status == READY
        assert [job.id for job in self.taken()] == [jobs[0].id]

    def test_no_more_begin_than_the_rate_says(self) -> None:
        self.limited("slow:1", 4)
        self.limited("slow:2", 1)
        first = self.taken()
        assert Counter(key_of(first)) == {"slow:1": 2, "slow:2": 1}
        self.queue.finish([done(job) for job in first])
        assert self.taken() == []
        use = self.queue.limit_use(["slow:1", "slow:2", "slow:3"])
        assert use.running == {}
        assert 0 < use.times["slow:1"].tat - use.now - HOUR / 2 <= HOUR / 2
        assert 0 < use.times["slow:2"].tat - use.now <= HOUR / 2
        assert "slow:3" not in use.times

    def test_a_job_that_does_not_begin_gives_its_start_back(self) -> None:
        self.queue.set_limit("slow", LIMITS["slow"])
        jobs = self.limited("slow:1 db", 5, expires_at=in_seconds(60))
        held = self.taken()
        assert len(held) == 2
        assert self.taken() == []
        ends = [
            Outcome.expired(held[0]).not_begun(),
            Outcome.released(held[1], run_after=in_seconds(3600)).not_begun(),
        ]
        refused = [replace(end, job=replace(end.job, token="another")) for end in ends]
        assert self.queue.finish(refused) == {held[0].id, held[1].id}
        assert self.taken() == []
        assert self.queue.finish(ends) == set()
        held = self.taken()
        assert [job.id for job in held] == [job.id for job in jobs[2:4]]
        assert self.taken() == []
        self.queue.finish([Outcome.released(held[0]).not_begun(), done(held[1])])
        assert [job.id for job in self.taken()] == [jobs[2].id]
        assert self.taken() == []

    def test_a_start_that_is_given_back_is_for_any_job_of_the_key(self) -> None:
        self.queue.set_limit("steady", LIMITS["steady"])
        self.limited("steady db", 1)
        [held] = self.taken()
        others = self.limited("steady", 1, queue_name="mail") + self.limited("api:7 steady", 1, is_async=True)
        assert self.taken() == []
        self.queue.finish([Outcome.released(held, run_after=in_seconds(3600)).not_begun()])
        [taken] = self.taken()
        assert taken.id in {job.id for job in others}
        assert self.taken() == []

    def test_no_more_starts_are_given_back_than_are_left(self) -> None:
        self.queue.set_limit("slow", LIMITS["slow"])
        self.limited("slow", 3)
        self.limited("unknown slow", 1, priority=-1)
        held = self.taken()
        ends = [Outcome.released(job, run_after=in_seconds(3600)).not_begun() for job in held]
        self.queue.finish([replace(end, gives_back=end.gives_back * 5) for end in ends])
        use = self.queue.limit_use(["slow"])
        assert "slow" not in use.times or use.times["slow"].tat <= use.now
        assert len(self.taken()) == 2
        assert self.taken() == []

    def test_without_a_burst_one_begins_at_a_time(self) -> None:
        self.limited("steady", 3)
        assert len(self.taken()) == 1
        assert self.taken() == []

    def test_rates_and_concurrency_together(self) -> None:
        self.limited("api slow", 5)
        held = self.taken()
        assert len(held) == 2
        self.queue.finish([done(held[0])])
        assert self.taken() == []

    def test_a_job_may_close_its_keys_for_a_time(self) -> None:
        jobs = self.limited("api:1 db", 3)
        others = self.limited("api:1", 1) + self.limited("api:2 db", 1)
        held = self.taken(threads=1)
        closing = replace(Outcome.released(held[0]), snoozed=True, closes=("api:1",), closed_for=3600.0)
        assert self.queue.finish([replace(closing, job=replace(held[0], token="another"))]) == {held[0].id}
        assert self.queue.limit_use(["api:1"]).times == {}
        assert self.queue.finish([closing]) == set()
        assert [job.id for job in self.taken()] == [others[1].id]
        assert self.stored(jobs[0]).worker_ids == ()
        use = self.queue.limit_use(["api:1", "db"])
        assert 0 < use.times["api:1"].closed_until - use.now <= HOUR
        assert "db" not in use.times

    def test_a_key_opens_again(self) -> None:
        jobs = self.limited("api", 2)
        held = self.taken(threads=1)
        self.queue.finish([replace(Outcome.released(held[0]), closes=("api",), closed_for=0.0)])
        assert [job.id for job in self.taken()] == [job.id for job in jobs]

    def test_people_open_the_keys_of_a_limit(self) -> None:
        assert self.queue.open_keys("api") == 0
        for limit_key in ("api", "api:1", "api:2 db", "db", "api2"):
            self.limited(limit_key, 1)
        limits = {**LIMITS, "api2": Limit(concurrency=1)}
        held = self.taken(limits=limits)
        assert len(held) == 5
        closed = [
            replace(Outcome.released(job), closes=tuple(str(job.limit_key).split()), closed_for=3600.0) for job in held
        ]
        assert self.queue.finish(closed) == set()
        assert self.taken(limits=limits) == []
        assert self.queue.open_keys("api") == 3
        assert self.queue.open_keys("api") == 0
        assert sorted(map(str, key_of(self.taken(limits=limits)))) == ["api", "api:1"]
        use = self.queue.limit_use()
        assert {key for key, times in use.times.items() if times.closed_until > use.now} == {"db", "api2"}

    def test_a_limit_that_nobody_declares_is_not_closed(self) -> None:
        [job] = self.limited("unknown", 1)
        [held] = self.taken()
        self.queue.finish([replace(Outcome.released(held), closes=("unknown",), closed_for=3600.0)])
        assert [each.id for each in self.taken()] == [job.id]

    def test_people_change_a_limit(self) -> None:
        self.limited("api", 5)
        self.limited("slow", 5)
        assert len(self.taken()) == 4
        self.queue.set_limit("api", Limit(concurrency=3))
        self.queue.set_limit("slow", Limit(rate="1000000/s", burst=9))
        assert self.queue.changed_limits() == {
            "api": Limit(concurrency=3),
            "slow": Limit(rate="1000000/s", burst=9),
        }
        taken = self.taken() + self.taken()  # the key opens after an interval of the new rate
        assert Counter(key_of(taken)) == {"api": 1, "slow": 3}
        self.queue.set_limit("api", None)
        self.queue.set_limit("api", None)
        assert self.queue.changed_limits().keys() == {"slow"}
        self.limited("api", 1)
        assert self.taken() == []
        self.queue.clear()
        assert self.queue.changed_limits() == {}

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

    def test_how_limits_are_used(self) -> None:
        assert not any(self.queue.limit_use()[1:])
        self.limited("api:1", 5)
        self.limited("slow db", 1)
        self.taken()
        use = self.queue.limit_use()
        assert (use.running, use.waiting) == ({"api:1": 2, "slow db": 1}, {"api:1": 3})
        assert use.oldest.keys() == {"api:1"}
        assert use.times.keys() == {"slow"}
        self.queue.clear()
        assert not any(self.queue.limit_use()[1:])

    def test_since_when_the_first_job_of_a_key_waits(self) -> None:
        young, old = self.limited("api:1", 1, age=20)[0], self.limited("api:1", 1, age=50)[0]
        [late] = self.limited("api:2", 1, run_after=in_seconds(-10), age=90)
        self.limited("api:3", 1, run_after=in_seconds(3600))
        use = self.queue.limit_use()
        assert use.oldest == {"api:1": old.due_at, "api:2": late.due_at}
        assert old.due_at < young.due_at

    def test_no_thread_goes_above_a_limit(self) -> None:
        self.limited("api", 30)
        self.limited("api db", 30)
        running, most, lock = Counter[str](), Counter[str](), threading.Lock()

        def work(number: int) -> int:
            ended = 0
            while jobs := self.taken(worker_id=f"worker-{number}", threads=3):
                with lock:
                    running.update(key for job in jobs for key in (job.limit_key or "").split())
                    most.update({key: max(0, running[key] - most[key]) for key in running})
                with lock:
                    running.subtract(key for job in jobs for key in (job.limit_key or "").split())
                assert self.queue.finish([done(job) for job in jobs]) == set()
                ended += len(jobs)
            return ended

        ended = sum(self.side_by_side(work, THREADS))
        while jobs := self.taken():  # those for which a thread had no room at its last fetch
            ended += len(jobs)
            self.queue.finish([done(job) for job in jobs])
        assert ended == 60
        assert most["api"] <= 2
