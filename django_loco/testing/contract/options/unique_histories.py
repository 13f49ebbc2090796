"""The contract of unique keys: random histories, and a model that tells which job holds each key."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

from ....core.job import Job, Outcome
from ....core.uniqueness import holds_key
from ....queues.base import Change
from ..case import done, failed, in_seconds, retry
from .unique_case import KEYS, UniqueCase, cancelled, ready_again, until

STEPS = int(os.environ.get("LOCO_CHAOS") or 0) * 1_000 or 150
#: A history starts again after this many steps, before the queue has many jobs.
FRESH = 1_000


class UniqueHistoryContract(UniqueCase):
    """The jobs that the model expects hold the keys, whatever was done before."""

    def test_random_histories_of_keys_agree_with_a_model(self) -> None:
        seed = os.environ.get("LOCO_CHAOS_SEED") or str(random.getrandbits(32))
        chance = random.Random(seed)  # noqa: S311 - a test
        history = _History(self, chance)
        for number in range(STEPS):
            if number % FRESH == 0:
                self.queue.clear()
                history = _History(self, chance)
            step = history.step()
            jobs = {job.id: job for job in self.queue.list(limit=10_000)}
            expected = {job.unique_key: job.id for job in jobs.values() if holds_key(job, in_seconds(0))}
            found = {key: job.id for key, job in self.queue.holders(KEYS).items()}
            assert found == expected == history.holders, f"LOCO_CHAOS_SEED={seed}, step {number}: {step}"


class _History:
    """Random operations on a queue, and the jobs that should hold the keys after them."""

    def __init__(self, case: UniqueCase, random: random.Random) -> None:
        self._case, self._random = case, random
        self._queue = case.queue
        self.holders: dict[str | None, str] = {}
        self._steps: Mapping[str, Callable[[], object]] = {
            "enqueue": self._enqueue,
            "fetch": self._fetch,
            "finish": self._finish,
            "rescue": self._rescue,
            "cancel": self._cancel,
            "delete": self._delete,
            "again": self._again,
            "prune": lambda: self._queue.prune(-1, limit=1),
        }

    def step(self) -> str:
        """Do a random operation. Return its name."""
        [name] = self._random.choices([*self._steps], [8, 4, 4, 1, 2, 1, 3, 1])
        self._steps[name]()
        jobs = {job.id for job in self._queue.list(limit=10_000)}
        self.holders = {key: job_id for key, job_id in self.holders.items() if job_id in jobs}
        return name

    def _some(self, *statuses: str) -> list[Job]:
        jobs = [job for status in statuses for job in self._queue.list(status=status, limit=10_000)]
        return self._random.sample(jobs, min(len(jobs), self._random.randint(1, 3)))

    def _enqueue(self) -> None:
        endings = ("finished", "started", until(3600))
        jobs = [
            self._case.unique(self._random.choice(KEYS), unique_until=self._random.choice(endings))
            for _ in range(self._random.randint(1, 3))
        ]
        accepted = [job.id for job in jobs if self.holders.setdefault(job.unique_key, job.id) == job.id]
        assert [job.id for job in self._queue.enqueue(jobs)] == accepted

    def _fetch(self) -> None:
        for job in self._case.fetch(lease=self._random.choice((0, 60)), threads=self._random.randint(1, 3)):
            self._free(job, "started")

    def _finish(self) -> None:
        held = self._some("RUNNING")
        outcomes: list[Outcome] = [self._random.choice((done, failed, retry))(job) for job in held]
        refused = self._queue.finish(outcomes)
        self._note_ends(outcome.applied() for outcome in outcomes if outcome.job.id not in refused)

    def _rescue(self) -> None:
        self._note_ends(self._queue.rescue())

    def _cancel(self) -> None:
        waiting = self._some("READY")
        refused = self._queue.change([cancelled(job) for job in waiting])
        self._note_ends(failed(job).applied() for job in waiting if job.id not in refused)

    def _delete(self) -> None:
        self._queue.change([Change(before=job, after=None) for job in self._some("READY", "FAILED", "SUCCESSFUL")])

    def _again(self) -> None:
        for job in self._some("FAILED")[:1]:
            takes = job.unique_until in ("finished", "started" if job.started_at is None else "")
            is_held = takes and job.unique_key in self.holders
            assert self._queue.change([ready_again(job)]) == ({job.id} if is_held else set())
            if takes and not is_held:
                self.holders[job.unique_key] = job.id

    def _note_ends(self, jobs: Any) -> None:
        for job in jobs:
            if job.finished_at is not None:
                self._free(job, "finished", "started")

    def _free(self, job: Job, *ends: str) -> None:
        if job.unique_until in ends and self.holders.get(job.unique_key) == job.id:
            del self.holders[job.unique_key]
