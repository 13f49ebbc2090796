"""A queue beside a memory queue, as a model of what it has to do."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django_loco.core.job import FAILED, READY, RETENTION, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.queues import Claim
from django_loco.queues.base import Change, Queue
from django_loco.queues.memory import MemoryQueue

STEPS = 200
#: The number of random histories.
HISTORIES = 6 * int(os.environ.get("LOCO_CHAOS", "1"))
#: Jobs ended some multiple of this ago. A test is over in half of it.
AGE_SECONDS = 200
#: How long jobs are kept, as their options.
RETENTIONS: list[dict[str, Any]] = [
    {},
    {},
    {RETENTION: {"succeeded": 0}},
    {RETENTION: {"failed": 2.5 * AGE_SECONDS}},
    {RETENTION: {"succeeded": 6.5 * AGE_SECONDS, "failed": "forever"}},
]


class Twins:
    """A queue and a memory queue to which the same is done."""

    def __init__(self, queue: Queue, seed: int, *, has_keys: bool = True) -> None:
        """``has_keys``: jobs have once-keys, which not every queue forgets as soon as the other."""
        self.random = random.Random(seed)
        self.queue = queue
        self.queue.clear()
        self.keys = [None, None, *(["key", "a@", "b@"] if has_keys else [])]
        self.memory = MemoryQueue("default", {"max_results": None})
        self.queues: tuple[Queue, Queue] = self.queue, self.memory
        self.held: dict[str, tuple[Job, Job]] = {}
        self.read: dict[str, tuple[Job, Job]] = {}
        self.now = utcnow()

    def enqueue(self) -> None:
        jobs = [self.job() for _ in range(self.random.randint(1, 20))]
        assert self.queue.enqueue(jobs) == self.memory.enqueue(jobs)

    def job(self) -> Job:
        choose = self.random.choice
        key = choose(self.keys)
        after = choose([None, None, None, timedelta(hours=-1), timedelta(hours=1)])
        return Job(
            task_path="shop.tasks.send",
            backend="default",
            queue_name=choose(["a", "b", "ab", 'q"\t']),
            priority=choose([-100, -1, 0, 0, 0, 7, 100]),
            is_async=choose([True, False]),
            run_after=None if after is None else utcnow() + after,
            enqueued_at=utcnow() - timedelta(seconds=self.random.randint(0, 3)),
            tags=choose([(), (), ("x",), ("y", "x"), ("z", "x", "y", "x"), ('"', "x,", "ä\n")]),
            key=key and f"{key}{self.random.randint(0, 50)}",
            options=choose(RETENTIONS),
        )

    def fetch(self) -> None:
        claim = Claim(
            worker_id="w",
            lease=self.random.choice([0, 60]),
            threads=self.random.randint(0, 8),
            coroutines=self.random.randint(0, 8),
            queues=self.random.choice([None, None, ("a",), ("b", "ab"), ()]),
            tags=self.random.choice([None, None, (), ("x",), ("y", "z"), ("x,", "y", "x")]),
            ageing=self.random.choice([None, None, 0.01, 1.0, 600.0]),
        )
        pairs = list(zip(self.queue.fetch(claim), self.memory.fetch(claim), strict=True))
        assert [one.id for one, _ in pairs] == [other.id for _, other in pairs]
        self.held |= {one.id: (one, other) for one, other in pairs}

    def finish(self) -> None:
        chosen = self.random.sample(sorted(self.held), min(len(self.held), self.random.randint(0, 10)))
        endings = [self.ending() for _ in chosen]
        pairs = [self.held[job_id] for job_id in chosen]
        refused = [
            queue.finish([Outcome(job=pair[which], **ending) for pair, ending in zip(pairs, endings, strict=True)])
            for which, queue in enumerate((self.queue, self.memory))
        ]
        assert refused[0] <= refused[1], "Redis takes the same outcome twice, since its first reply may have been lost"
        for job_id in chosen[::2]:  # the others are offered once more
            del self.held[job_id]

    def ending(self):
        at = utcnow() - timedelta(seconds=AGE_SECONDS * self.random.randint(0, 10))
        return self.random.choice(
            [
                {"status": SUCCESSFUL, "return_value": "1", "at": at},
                {"status": FAILED, "at": at},
                {"status": READY, "spent": False},
                {"status": READY, "run_after": at},
                {"status": READY, "run_after": utcnow() + timedelta(hours=1)},
                {"status": READY, "run_after": utcnow() + timedelta(hours=1), "waits": True, "snoozed": True, "at": at},
            ]
        )

    def write(self) -> None:
        """Let runs write what they wait for, and the steps that they have done."""
        for job_id in self.random.sample(sorted(self.held), min(len(self.held), 4)):
            field, text = self.random.choice(["waits", "steps", "checkpoint"]), self.random.choice(['{"a":1}', "{}"])
            pair = self.held[job_id]
            written = [queue.update(job, field, text) for queue, job in zip(self.queues, pair, strict=True)]
            assert written[0] == written[1]
            if written[0]:
                changes: dict[str, Any] = {field: text}
                one, other = (replace(job, **changes) for job in pair)
                self.held[job_id] = one, other

    def signal(self) -> None:
        """Send signals to jobs that run, some of them as they were some steps ago."""
        jobs = self.memory.list(status=RUNNING, limit=10_000)
        for job in self.random.sample(jobs, min(len(jobs), 4)):
            text = self.random.choice([None, '{"a":{"value":1}}', '{"b":{"value":"\u00e4\\t"}}'])
            stored = self.queue.get(job.id)
            assert stored is not None
            assert stored.signals == job.signals
            assert self.queue.signal(stored, text) == self.memory.signal(job, text)
            late = replace(stored, signals='{"c":{}}')
            assert not self.queue.signal(late, '{"d":{}}')

    def renew(self) -> None:
        lease = self.random.choice([0, 60])
        one, other = ([pair[which] for pair in self.held.values()] for which in (0, 1))
        assert self.queue.renew(one, lease) == self.memory.renew(other, lease)

    def rescue(self) -> None:
        assert {job.id for job in self.queue.rescue(10_000)} == {job.id for job in self.memory.rescue(10_000)}

    def prune(self) -> None:
        # Between two ages, so that both see the same however long one of them has to wait for its turn.
        older_than = AGE_SECONDS * (self.random.randint(2, 8) + 0.5)
        assert self.queue.prune(older_than) == self.memory.prune(older_than)

    def change(self) -> None:
        """Cancel, retry, edit and delete jobs that nobody holds, some of them as they were some steps ago."""
        jobs = [job for job in self.memory.list(limit=10_000) if job.status != RUNNING]
        for job in self.random.sample(jobs, min(len(jobs), 8)):
            stored = self.queue.get(job.id)
            assert stored is not None
            self.read[job.id] = (stored, job)
        chosen = self.random.sample(sorted(self.read), min(len(self.read), 6))
        seed = self.random.random()
        refused = []
        for which, queue in enumerate((self.queue, self.memory)):
            choices = random.Random(seed)
            befores = [self.read[job_id][which] for job_id in chosen]
            refused.append(queue.change([Change(before=job, after=self.after(job, choices)) for job in befores]))
        assert refused[0] == refused[1]
        for job_id in chosen[::2]:
            del self.read[job_id]

    def after(self, job: Job, choices: random.Random) -> Job | None:
        at = self.now - timedelta(seconds=AGE_SECONDS * choices.randint(0, 10))
        action = choices.choice(["edit", "edit", "end", "end", "delete"])
        if action == "delete":
            return None
        if action == "edit":
            return replace(
                job,
                priority=choices.choice([-1, 0, 7]),
                queue_name=choices.choice(["a", 'q"\t']),
                tags=choices.choice([(), ("x",), ("y", "x", "y")]),
                metadata=choices.choice([None, '{"a":1}']),
            )
        if job.status == READY:
            return replace(job, status=FAILED, finished_at=at)
        later = self.now + timedelta(hours=1)
        return replace(job, status=READY, finished_at=None, run_after=choices.choice([None, at, later]))

    def pause(self) -> None:
        name = self.random.choice(["a", 'q"\t'])
        if self.random.random() < 0.4:
            self.queue.pause(name)
            self.memory.pause(name)
        else:
            assert self.queue.resume(name) == self.memory.resume(name)
        assert self.queue.paused() == self.memory.paused()

    def compare(self) -> None:
        assert self.queue.counts() == self.memory.counts()
        assert self.queue.counts(3) == self.memory.counts(3)
        assert self.queue.oldest_due() == self.memory.oldest_due()
        assert self.queue.oldest_due(("a", "b")) == self.memory.oldest_due(("a", "b"))
        for name in ("a", "b"):
            found, expected = (queue.series(name, 30) for queue in (self.queue, self.memory))
            assert [(job.id, job.status, job.error) for job in found] == [
                (job.id, job.status, job.error) for job in expected
            ]
            assert [job.finished_at is None for job in found] == [job.finished_at is None for job in expected]
        for status in (None, READY, RUNNING, SUCCESSFUL, FAILED):
            one, other = (queue.list(status=status, limit=10_000) for queue in (self.queue, self.memory))
            assert [(job.id, job.status, job.lost, job.run_after) for job in one] == [
                (job.id, job.status, job.lost, job.run_after) for job in other
            ]
            assert [(job.waits, job.steps, job.signals) for job in one] == [
                (job.waits, job.steps, job.signals) for job in other
            ]
            few = self.queue.list(status=status, limit=7)
            assert [job.id for job in few] == [job.id for job in other[:7]]
            before = other[len(other) // 2].id if other else None
            for name in ("a", 'q"\t', "none"):
                one, other = (
                    queue.list(status=status, queue_name=name, before=before, limit=5)
                    for queue in (self.queue, self.memory)
                )
                assert [job.id for job in one] == [job.id for job in other]

    def run(self, steps: int = STEPS) -> None:
        """Do this and that, and compare."""
        often = [self.enqueue, self.fetch, self.finish]
        choices = [
            *often,
            *often,
            self.write,
            self.signal,
            self.renew,
            self.rescue,
            self.prune,
            self.change,
            self.pause,
        ]
        for number in range(steps):
            self.random.choice(choices)()
            if number % 20 == 0:
                self.compare()
        self.compare()
