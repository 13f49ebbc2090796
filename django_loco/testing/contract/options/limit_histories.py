"""The contract of limits: random histories, and a model that tells which jobs each fetch may take."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ....core.job import READY, RUNNING, Job, Outcome, utcnow
from ....core.job.limits import KeyTimes, Limiter
from ....queues.base import Change
from ..case import done, failed, in_seconds, retry
from .limit_case import HOUR, LIMITS, LimitCase
from .unique_case import cancelled

STEPS = int(os.environ.get("LOCO_CHAOS") or 0) * 1_000 or 120
#: A history starts again after this many steps, before the queue has many jobs and before a slow limit opens again.
FRESH = 250


class LimitHistoryContract(LimitCase):
    """A fetch takes the jobs that the model allows, whatever was done before."""

    def test_random_histories_of_limits_agree_with_a_model(self) -> None:
        seed = os.environ.get("LOCO_CHAOS_SEED") or str(random.getrandbits(32))
        chance = random.Random(seed)  # noqa: S311 - a test
        history = _History(self, chance)
        for number in range(STEPS):
            if number % FRESH == 0:
                self.queue.clear()
                history = _History(self, chance)
            history.context = f"LOCO_CHAOS_SEED={seed}, step {number}"
            history.step()


class _History:
    """Random operations on a queue. Each fetch is compared with the jobs that it may take."""

    KEYS = ("api", "api:1", "api:2 db", "db", "slow", "slow:1 api:1", "unknown", None)

    def __init__(self, case: LimitCase, random: random.Random) -> None:
        self._case, self._queue, self._random = case, case.queue, random
        self.context = ""
        self._starts: Counter[str] = Counter()
        self._queue.set_limit("slow", LIMITS["slow"])  # so that outcomes know the limit
        self._steps: Mapping[str, Callable[[], object]] = {
            "enqueue": self._enqueue,
            "fetch": self._fetch,
            "finish": self._finish,
            "hand back": self._hand_back,
            "rescue": self._queue.rescue,
            "cancel": lambda: self._queue.change([cancelled(job) for job in self._some(READY)]),
            "delete": lambda: self._queue.change([Change(before=job, after=None) for job in self._some(READY)]),
        }

    def step(self) -> None:
        """Do something."""
        [name] = self._random.choices([*self._steps], [6, 6, 4, 1, 1, 1, 1])
        self._steps[name]()

    def _some(self, status: Any) -> list[Job]:
        jobs = self._queue.list(status=status, limit=10_000)
        return self._random.sample(jobs, min(len(jobs), self._random.randint(1, 4)))

    def _enqueue(self) -> None:
        self._queue.enqueue(
            [
                self._case.job(
                    limit_key=self._random.choice(self.KEYS),
                    priority=self._random.choice((0, 0, 5)),
                    is_async=self._random.random() < 0.2,
                    run_after=self._random.choice((None, None, in_seconds(3600))),
                )
                for _ in range(self._random.randint(1, 6))
            ]
        )

    def _finish(self) -> None:
        held = self._some(RUNNING)
        assert self._queue.finish([self._random.choice((done, failed, retry))(job) for job in held]) == set()

    def _hand_back(self) -> None:
        held = self._some(RUNNING)
        assert self._queue.finish([Outcome.released(job).not_begun() for job in held]) == set()
        self._starts.subtract(key for job in held for key in (job.limit_key or "").split())

    def _fetch(self) -> None:
        threads, coroutines = self._random.randint(0, 4), self._random.randint(0, 4)
        jobs = self._queue.list(limit=10_000)
        taken = self._case.taken(lease=self._random.choice((0.0, 60.0)), threads=threads, coroutines=coroutines)
        limiter = self._limiter([job for job in jobs if job.status == RUNNING])
        for job in taken:
            if job.limit_key is not None:
                assert limiter.room(job.limit_key) > 0, self.context
                limiter.start(job.limit_key)
                self._starts.update(job.limit_key.split())
        number = {kind: sum(job.is_async is kind for job in taken) for kind in (False, True)}
        assert number[False] <= threads, self.context
        assert number[True] <= coroutines, self.context
        self._require_nothing_better(jobs, taken, limiter, {False: threads, True: coroutines})

    def _require_nothing_better(
        self, jobs: list[Job], taken: list[Job], limiter: Limiter, room: Mapping[bool, int]
    ) -> None:
        """Require that each job left behind had no room, or a lower priority than all jobs that were taken."""
        now, ids = utcnow(), {job.id for job in taken}
        for job in jobs:
            is_due = job.run_after is None or job.run_after <= now
            if job.status != READY or job.id in ids or not is_due:
                continue
            if job.limit_key is not None and limiter.room(job.limit_key) <= 0:
                continue
            of_kind = [each for each in taken if each.is_async is job.is_async]
            assert len(of_kind) == room[job.is_async], f"{self.context}: {job} was left"
            assert all(each.priority >= job.priority for each in of_kind), f"{self.context}: {job} is better"

    def _limiter(self, running: list[Job]) -> Limiter:
        counts = Counter(job.limit_key for job in running if job.limit_key is not None)
        # Within a test of seconds, no key with "slow" opens again.
        times = {key: KeyTimes(tat=1 + number * (HOUR // 2)) for key, number in self._starts.items()}
        return Limiter(LIMITS, 1, running=counts.items, times=times)
