"""Whatever is done to it in whatever order, a Redis queue is what a memory queue is, and its keys agree."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from django_loco.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.redis import RedisQueue

STEPS = 200


class Twins:
    """A Redis queue and a memory queue to which the same is done."""

    def __init__(self, url: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.redis = RedisQueue("default", {"url": url})
        self.redis.clear()
        self.memory = MemoryQueue("default", {"max_results": None})
        self.held: dict[str, tuple[Job, Job]] = {}

    def enqueue(self) -> None:
        jobs = [self.job() for _ in range(self.random.randint(1, 20))]
        assert self.redis.enqueue(jobs) == self.memory.enqueue(jobs)

    def job(self) -> Job:
        choose = self.random.choice
        after = choose([None, None, None, timedelta(hours=-1), timedelta(hours=1)])
        return Job(
            task_path="shop.tasks.send",
            backend="default",
            queue_name=choose(["a", "b", "ab", 'q"\t']),
            priority=choose([-100, -1, 0, 0, 0, 7, 100]),
            is_async=choose([True, False]),
            run_after=None if after is None else utcnow() + after,
            enqueued_at=utcnow() - timedelta(seconds=self.random.randint(0, 3)),
            tags=choose([(), (), ("x",), ("y", "x")]),
            key=choose(
                [None, None, f"key {self.random.randint(0, 50)}", f"{choose('ab')}@{self.random.randint(0, 50)}"]
            ),
        )

    def fetch(self) -> None:
        claim = Claim(
            worker_id="w",
            lease=self.random.choice([0, 60]),
            threads=self.random.randint(0, 8),
            coroutines=self.random.randint(0, 8),
            queues=self.random.choice([None, None, ("a",), ("b", "ab"), ()]),
            tags=self.random.choice([None, None, (), ("x",), ("y", "z")]),
        )
        pairs = list(zip(self.redis.fetch(claim), self.memory.fetch(claim), strict=True))
        assert [one.id for one, _ in pairs] == [other.id for _, other in pairs]
        self.held |= {one.id: (one, other) for one, other in pairs}

    def finish(self) -> None:
        chosen = self.random.sample(sorted(self.held), min(len(self.held), self.random.randint(0, 10)))
        endings = [self.ending() for _ in chosen]
        pairs = [self.held[job_id] for job_id in chosen]
        refused = [
            queue.finish([Outcome(job=pair[which], **ending) for pair, ending in zip(pairs, endings, strict=True)])
            for which, queue in enumerate((self.redis, self.memory))
        ]
        assert refused[0] <= refused[1], "Redis takes the very same outcome twice, whose first reply may have been lost"
        for job_id in chosen[::2]:  # the others are offered once more
            del self.held[job_id]

    def ending(self):
        at = utcnow() - timedelta(seconds=self.random.randint(0, 100))
        return self.random.choice(
            [
                {"status": SUCCESSFUL, "return_value": "1", "at": at},
                {"status": FAILED, "at": at},
                {"status": READY, "spent": False},
                {"status": READY, "run_after": at},
                {"status": READY, "run_after": utcnow() + timedelta(hours=1)},
            ]
        )

    def renew(self) -> None:
        lease = self.random.choice([0, 60])
        one, other = ([pair[which] for pair in self.held.values()] for which in (0, 1))
        assert self.redis.renew(one, lease) == self.memory.renew(other, lease)

    def rescue(self) -> None:
        assert {job.id for job in self.redis.rescue(10_000)} == {job.id for job in self.memory.rescue(10_000)}

    def prune(self) -> None:
        older_than = self.random.randint(20, 80)
        assert self.redis.prune(older_than) == self.memory.prune(older_than)

    def compare(self) -> None:
        assert self.redis.counts() == self.memory.counts()
        assert self.redis.oldest_due() == self.memory.oldest_due()
        assert self.redis.oldest_due(("a", "b")) == self.memory.oldest_due(("a", "b"))
        for name in ("a", "b"):
            found, expected = (queue.series(name, 30) for queue in (self.redis, self.memory))
            assert [(job.id, job.status, job.error) for job in found] == [
                (job.id, job.status, job.error) for job in expected
            ]
            assert [job.finished_at is None for job in found] == [job.finished_at is None for job in expected]
        for status in (None, READY, RUNNING, SUCCESSFUL, FAILED):
            one, other = (queue.list(status=status, limit=10_000) for queue in (self.redis, self.memory))
            assert [(job.id, job.status, job.lost, job.run_after) for job in one] == [
                (job.id, job.status, job.lost, job.run_after) for job in other
            ]

    def check_keys(self) -> None:
        client = self.redis.server.client
        totals: Counter[str] = Counter()
        for (_, status), number in self.redis.counts().items():
            totals[status.value] += number
        sizes = {
            name: (client.hlen if name in ("jobs", "states", "held") else client.zcard)(self.redis.server.key(name))
            for name in (
                "jobs",
                "index",
                "held",
                "leases",
                "ready",
                "tagged",
                "deferred",
                "finished",
                "failed",
                "series",
            )
        }
        assert sizes["jobs"] == sizes["index"] == totals.total()
        assert sizes["series"] == len(self.memory._series) == sum(len(self.redis.series(name, 10_000)) for name in "ab")
        assert sizes["held"] == sizes["leases"] == totals["RUNNING"]
        assert sizes["ready"] + sizes["deferred"] == totals["READY"]
        ready = client.zrange(self.redis.server.key("ready"), 0, -1)
        assert sizes["tagged"] == sum(place.partition(b"\r")[2].count(b"\t") for place in ready)
        assert sizes["finished"] == totals["SUCCESSFUL"] + totals["FAILED"]
        assert sizes["failed"] == totals["FAILED"]


@pytest.mark.parametrize("seed", range(6))
def test_a_redis_queue_is_what_a_memory_queue_is(redis_server, seed):
    twins = Twins(redis_server.url, seed)
    often = [twins.enqueue, twins.fetch, twins.finish]
    steps = [*often, *often, twins.renew, twins.rescue, twins.prune]
    for number in range(STEPS):
        twins.random.choice(steps)()
        if number % 20 == 0:
            twins.compare()
    twins.compare()
    twins.check_keys()
