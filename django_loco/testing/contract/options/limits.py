"""The contract of limits: no fetch exceeds a limit, and no fetch leaves a job that may run."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ....core.job import READY, Job, Outcome
from ....core.job.limits import Limit
from ..case import THREADS, done, failed, in_seconds, retry
from .limit_case import HOUR, LIMITS, LimitCase, key_of


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
        while jobs := self.taken():  # jobs for which a thread had no room at its last fetch
            ended += len(jobs)
            self.queue.finish([done(job) for job in jobs])
        assert ended == 60
        assert most["api"] <= 2
