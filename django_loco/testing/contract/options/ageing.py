"""The contract of ageing: a job that has waited long is handed over before a newer one with a higher priority."""

from __future__ import annotations

import os
import random
from typing import Any

from ....core.job import Job
from ....core.job.ageing import rank
from ....core.job.limits import limits_of
from ..case import ContractCase, done, in_seconds, retry

#: ``LOCO["AGEING"]`` in these tests.
STEP = 60.0
#: The number of steps in a random history.
STEPS = int(os.environ.get("LOCO_CHAOS") or 0) * 500 or 100


class AgeingContract(ContractCase):
    """A queue that hands over jobs by their priorities alone, because it does not know ``Claim.ageing``, fails here."""

    def ages(self, **given: Any) -> list[str]:
        """Fetch with ageing; return the ids in their order."""
        return [job.id for job in self.fetch(**{"ageing": STEP} | given)]

    def one_by_one(self, number: int, **given: Any) -> list[str]:
        """Fetch with ageing and room for one job each time; return the ids in their order."""
        room = {"threads": 1, "coroutines": 0}
        return [job_id for _ in range(number) for job_id in self.ages(**room | given)]

    def old_and_new(self, **given: Any) -> tuple[Job, Job, Job]:
        """Store jobs of different ages. The oldest job has the lowest priority."""
        jobs = (
            self.job(priority=-5, age=20 * STEP, **given),
            self.job(priority=0, age=10 * STEP, **given),
            self.job(priority=5, age=0, **given),
        )
        self.queue.enqueue([*jobs])
        return jobs

    def test_without_ageing_priorities_decide(self) -> None:
        low, middle, high = self.old_and_new()
        assert self.ages(ageing=None) == [high.id, middle.id, low.id]

    def test_one_step_counts_as_much_as_so_many_seconds(self) -> None:
        younger, older = self.job(priority=1, age=100), self.job(priority=0, age=100 + STEP - 5)
        self.queue.enqueue([older, younger])
        assert self.ages() == [younger.id, older.id]
        younger, older = self.job(priority=1, age=100), self.job(priority=0, age=100 + STEP + 5)
        self.queue.enqueue([older, younger])
        assert self.ages() == [older.id, younger.id]

    def test_those_that_have_waited_longest_come_first(self) -> None:
        for given in ({}, {"tags": ("a",)}, {"is_async": True}, {"queue_name": "other"}):
            jobs = self.old_and_new(**given)
            assert self.ages() == [job.id for job in jobs]

    def test_with_room_for_one_job_at_a_time(self) -> None:
        low, middle, high = self.old_and_new()
        assert self.one_by_one(4) == [low.id, middle.id, high.id]

    def test_workers_of_some_queues_and_tags(self) -> None:
        choices: tuple[dict[str, Any], ...] = (
            {"queues": ("a", "b")},
            {"tags": ()},
            {"tags": ("x",)},
            {"tags": ("x", "y")},
            {"tags": ("x", "y"), "queues": ("b", "a")},
            {"tags": (*map(str, range(300)), "x")},
        )
        for wanted in choices:
            tags = ("x",) if wanted.get("tags") else ()
            low, middle, high = (
                self.job(priority=-5, age=20 * STEP, queue_name="a", tags=tags),
                self.job(priority=0, age=10 * STEP, queue_name="b", tags=tags),
                self.job(priority=5, queue_name="a", tags=tags),
            )
            self.queue.enqueue([high, low, middle])
            assert self.one_by_one(3, **wanted) == [low.id, middle.id, high.id], wanted

    def test_other_queues_and_pauses_hold_back_old_ones_as_well(self) -> None:
        low, middle, high = self.old_and_new(queue_name="a")
        self.queue.pause("b")
        others = self.old_and_new(queue_name="b")
        assert self.ages() == [low.id, middle.id, high.id]
        self.queue.resume("b")
        assert self.ages() == [job.id for job in others]

    def test_a_job_ages_from_when_it_is_due(self) -> None:
        later = self.job(priority=0, age=1000 * STEP, run_after=in_seconds(-STEP))
        newer = self.job(priority=5)
        never = self.job(priority=100, run_after=in_seconds(3600))
        self.queue.enqueue([later, newer, never])
        assert self.ages() == [newer.id, later.id]

    def test_a_retry_ages_from_its_own_time(self) -> None:
        first, second = self.job(priority=0, age=100 * STEP), self.job(priority=0, age=99 * STEP)
        self.queue.enqueue([first, second])
        held = self.fetch(ageing=STEP)
        assert [job.id for job in held] == [first.id, second.id]
        self.queue.finish([retry(held[0], run_after=in_seconds(-STEP)), retry(held[1])])
        newer = self.enqueue(priority=5)
        assert self.ages() == [second.id, newer.id, first.id]

    def test_limited_jobs_age(self) -> None:
        limits = limits_of({"api": {"concurrency": 2}})
        low, middle, high = self.old_and_new(limit_key="api")
        assert self.one_by_one(3, limits=limits) == [low.id, middle.id]
        self.queue.finish([done(job) for job in self.queue.list(status="RUNNING")])
        assert self.one_by_one(3, limits=limits) == [high.id]

    def test_limited_jobs_and_others(self) -> None:
        limits = limits_of({"api": {"concurrency": 9}})
        low, middle, high = (
            self.job(priority=-5, age=20 * STEP, limit_key="api"),
            self.job(priority=0, age=10 * STEP),
            self.job(priority=5, limit_key="api"),
        )
        last = self.job(priority=4)
        self.queue.enqueue([last, high, middle, low])
        assert self.one_by_one(4, limits=limits) == [low.id, middle.id, high.id, last.id]

    def test_random_jobs_come_in_the_order_of_their_ranks(self) -> None:
        seed = os.environ.get("LOCO_CHAOS_SEED") or str(random.getrandbits(32))
        chosen = random.Random(seed)  # noqa: S311 - a test
        waiting: dict[str, Job] = {}
        for number in range(STEPS):
            jobs = [self._random_job(chosen) for _ in range(chosen.randint(0, 12))]
            self.queue.enqueue(jobs)
            waiting |= {job.id: job for job in jobs}
            wanted = chosen.choice(({}, {"queues": ("a", "b")}, {"tags": ("x",)}, {"tags": ("x", "y")}, {"tags": ()}))
            room = chosen.randint(1, 6)
            taken = self.ages(threads=room, coroutines=0, **wanted)
            expected = sorted(
                (job for job in waiting.values() if _is_wanted(job, wanted)),
                key=lambda job: (*rank(job.priority, job.due_at, STEP), job.id),
            )[:room]
            assert taken == [job.id for job in expected], f"LOCO_CHAOS_SEED={seed}, step {number}: {wanted}"
            for job_id in taken:
                del waiting[job_id]

    def _random_job(self, chosen: random.Random) -> Job:
        age = chosen.randint(0, 3_000)
        return self.job(
            age=age,
            priority=chosen.choice((-100, -7, 0, 0, 3, 20, 100)),
            queue_name=chosen.choice("abc"),
            tags=chosen.choice(((), ("x",), ("y", "x"), ("z",))),
            run_after=chosen.choice((None, None, in_seconds(-chosen.randint(1, 3_000)))),
        )


def _is_wanted(job: Job, wanted: dict[str, Any]) -> bool:
    if job.queue_name not in wanted.get("queues", job.queue_name):
        return False
    tags = wanted.get("tags")
    return tags is None or (bool({*tags} & {*job.tags}) if tags else not job.tags)
