"""The pool of threads under random work, with pauses wherever it takes or returns a lock.

``LOCO_STRESS=100`` runs this many rounds instead of two.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from django_loco.core.job import FAILED, SUCCESSFUL, Outcome
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.pools.threads import ThreadPool

from .. import tasks
from ..support import claimed_of, wait_until

ROUNDS = int(os.environ.get("LOCO_STRESS", "2"))


class PausingLock:
    """A lock whose holder is held up now and then, before and after it has the lock."""

    def __init__(self, dice: random.Random) -> None:
        self._lock = threading.Lock()
        self._dice = dice

    def __enter__(self) -> None:
        self._pause()
        self._lock.acquire()
        self._pause()

    def __exit__(self, *args: object) -> None:
        self._lock.release()
        self._pause()

    def _pause(self) -> None:
        if self._dice.random() < 0.05:
            time.sleep(self._dice.random() * 0.001)


class Round:
    """A pool, the jobs that it was given, and the outcomes that it has reported."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.size = dice.choice((1, 2, 3, 8, 40))
        active = dice.choice((None, None, None, 1, 2, self.size))
        self.expected: dict[ClaimedJob, Any] = {}
        self.reported: list[tuple[ClaimedJob, Outcome]] = []
        self.pool = ThreadPool(
            self.size, "default", lambda *found: self.reported.append(found), active=active, grace=0.01
        )
        self.pool._work._lock = PausingLock(dice)  # type: ignore[assignment]
        self.pool._lock = PausingLock(dice)  # type: ignore[assignment]
        adapt, lateness = self.pool._work.adapt, dice.choice(((0.0,), (1.0,), (0.0, 1.0)))
        self.pool._work.adapt = lambda threads, late: adapt(threads, dice.choice(lateness))  # type: ignore[method-assign]

    def play(self) -> None:
        """Submit jobs until each has an outcome and all threads sleep, three times; then close the pool."""
        for _ in range(3):
            self._submit()
            wait_until(lambda: len(self.reported) >= len(self.expected), 30)
            wait_until(lambda: set(self.pool._work._asleep) == set(self.pool._threads))
        self._check()

    def _submit(self) -> None:
        for _ in range(7):
            jobs = [self._job() for _ in range(self.dice.randrange(30))]
            self.pool.submit(jobs)
            self.pool.submit(self.pool.withdraw(self.dice.randrange(5)))
            self.pool.replace_dead()
            assert 0 <= self.pool.busy <= self.size
            assert len(self.pool._threads) <= self.size
            assert 1 <= self.pool.capacity <= self.size
            time.sleep(self.dice.choice((0, 0, 0.002)))

    def _job(self) -> ClaimedJob:
        name, args, status = self.dice.choice(
            (
                ("nothing", (), SUCCESSFUL),
                ("add", (1,), SUCCESSFUL),
                ("busy", (0.001,), SUCCESSFUL),
                ("wait", (0.003,), SUCCESSFUL),
                ("wait", (0.03,), SUCCESSFUL),
                ("fail", (), FAILED),
                ("end", ("SystemExit",), FAILED),
                *((("spin", (), FAILED), ("deaf", ("stress",), FAILED)) if self.dice.random() < 0.03 else ()),
            )
        )
        claimed = claimed_of(name, *args)
        self.expected[claimed] = status
        return claimed

    def _check(self) -> None:
        assert Counter(claimed for claimed, _ in self.reported) == Counter(list(self.expected))
        assert {claimed: outcome.status for claimed, outcome in self.reported} == self.expected
        wait_until(lambda: self.pool.busy == 0)
        work = self.pool._work
        assert (len(work), len(work._counted), work._waking) == (0, 0, set())
        tasks.events["stress"].set()
        self.pool.close()
        assert self.pool.join(10)
        wait_until(lambda: not any(thread.is_alive() for thread in self.pool._threads))
        wait_until(lambda: self.pool.abandoned == 0)


@pytest.fixture(autouse=True)
def _short_turns() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    tasks.events.pop("stress", None)


@pytest.mark.interrupts
@pytest.mark.timeout(60 + 2 * ROUNDS)
def test_each_job_has_one_outcome_whatever_the_order_of_the_threads():
    threads = threading.active_count()
    for seed in range(ROUNDS):
        Round(seed).play()
        tasks.events.pop("stress", None)
    wait_until(lambda: threading.active_count() <= threads)
