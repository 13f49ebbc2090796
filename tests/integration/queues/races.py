"""People change jobs while workers fetch, finish, rescue and prune them: the books of each job balance.

Each call that is accepted is booked as a move of a job from one state to another. In the end, what came to a state of a
job less what left it must be 1 for the state that is stored and 0 for the others. A job that was cancelled and yet ran,
or that ended twice, has left a state more often than it came to it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome, error_of, utcnow
from django_loco.queues import Claim, Queue
from django_loco.queues.base import Change

SCALE = int(os.environ.get("LOCO_CHAOS", "1"))
#: How long it goes on at least, and at most if something has not happened until then.
SECONDS, PATIENCE = 1.0 * SCALE, 30.0 * SCALE
JOBS = 150
OLD = timedelta(hours=1)
GONE, NEW = "gone", "new"
#: What has to happen, by people and by workers.
MOVES = (
    *((READY, FAILED), (FAILED, READY), (SUCCESSFUL, READY), (READY, GONE), (FAILED, GONE)),
    *((READY, RUNNING), (RUNNING, READY), (RUNNING, FAILED), (RUNNING, SUCCESSFUL)),
)


class Race:
    """Threads that do the same things again and again to the same jobs, and the books about it."""

    def __init__(self, queue: Queue, seed: int) -> None:
        self.queue = queue
        self.random = random.Random(seed)
        self.ids: list[str] = []
        self.books: Counter[tuple[str, str]] = Counter()
        self.moves: Counter[tuple[str, str]] = Counter()
        self.pruned = 0
        self.failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def book(self, job_id: str, before: str, after: str) -> None:
        with self._lock:
            self.books[job_id, before] -= 1
            self.books[job_id, after] += 1
            self.moves[before, after] += 1

    def run(self, *acts: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._repeat, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert self.failures == []

    def _repeat(self, act: Callable[[], None]) -> None:
        try:
            while self._goes_on():
                act()
        except BaseException as error:  # noqa: BLE001 - the test shows it
            self.failures.append(error)
        finally:
            self.queue.close()

    def _goes_on(self) -> bool:
        age = time.monotonic() - self._began
        return age < SECONDS or (age < PATIENCE / 2 and not self._has_all())

    def _has_all(self) -> bool:
        return bool(self.pruned and all(self.moves[move] for move in MOVES))

    def enqueue(self) -> None:
        tags = self.random.choice([(), ("a",), ("a", "b")])
        jobs = [Job(task_path="a.b", backend="default", tags=tags, priority=self.random.randint(0, 2)) for _ in "ab"]
        self.queue.enqueue(jobs)
        for job in jobs:
            self.ids.append(job.id)
            self.book(job.id, NEW, READY)
        time.sleep(SECONDS / JOBS)  # not all at once

    def work(self) -> None:
        """Run some jobs. A worker may die with them, or hold them longer than it may."""
        claim = Claim(
            worker_id="w", lease=self.random.choice([0.02, 30]), threads=4, tags=self.random.choice([None, ("a",)])
        )
        held = self.queue.fetch(claim)
        for job in held:
            self.book(job.id, READY, RUNNING)
        if claim.lease < 1 and self.random.random() < 0.5:
            return
        outcomes = [self.outcome(job) for job in held]
        refused = self.queue.finish(outcomes)
        for outcome in outcomes:
            if outcome.job.id not in refused:
                self.book(outcome.job.id, RUNNING, outcome.status)

    def outcome(self, job: Job) -> Outcome:
        end = {"job": job, "at": self.end()}
        return self.random.choice(
            [
                Outcome(status=SUCCESSFUL, return_value="1", **end),
                Outcome(status=FAILED, error=error_of(ValueError, "no"), **end),
                Outcome(status=READY, run_after=utcnow(), **end),
                Outcome.released(job),
            ]
        )

    def end(self):
        return utcnow() - self.random.choice([timedelta(), timedelta(), OLD])

    def maintain(self) -> None:
        for job in self.queue.rescue():
            self.book(job.id, RUNNING, job.status)
        self.pruned += self.queue.prune(OLD.total_seconds() / 2)

    def change(self) -> None:
        """Cancel, retry, edit and delete some of the jobs that can be seen."""
        jobs = [job for job in self.queue.list(limit=60) if job.status != RUNNING]
        chosen = self.random.sample(jobs, min(len(jobs), 12))
        changes = [Change(before=job, after=self.after(job)) for job in chosen]
        refused = self.queue.change(changes)
        for change in changes:
            if change.before.id not in refused:
                self.book(change.before.id, change.before.status, change.after.status if change.after else GONE)

    def after(self, job: Job) -> Job | None:
        if self.random.random() < 0.1:
            return None
        if self.random.random() < 0.2:
            return replace(job, priority=self.random.randint(0, 5), tags=self.random.choice([(), ("b",), ("a", "c")]))
        if job.status == READY:
            return replace(job, status=FAILED, finished_at=self.end(), errors=(*job.errors, error_of(ValueError, "x")))
        return replace(job, status=READY, run_after=utcnow(), finished_at=None, return_value=None)

    def check(self) -> None:
        states = {job.id: str(job.status) for job in self.queue.list(limit=100_000)}
        wrong, pruned = [], 0
        for job_id in self.ids:
            balance = {state: number for (of, state), number in self.books.items() if of == job_id and number}
            assert balance.pop(NEW) == -1
            if job_id in states or balance == {GONE: 1}:
                expected = {states.get(job_id, GONE): 1}
            else:  # it was pruned when it had ended, which is not told one by one
                pruned += 1
                expected = {next(iter(balance)): 1}
                assert set(balance) <= {SUCCESSFUL, FAILED}
            if balance != expected:
                wrong.append((job_id, balance, expected))
        assert wrong == []
        assert pruned == self.pruned

    def run_all(self) -> None:
        """Enqueue, work, maintain and change at the same time, and check that all of it has happened."""
        self.run(self.enqueue, self.work, self.work, self.maintain, self.change, self.change)
        self.check()
        assert self._has_all(), (self.moves, self.pruned)
