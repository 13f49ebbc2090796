"""Jobs, runs and queues for the tests of the worker."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from django_loco.core.job import Job, Outcome, utcnow
from django_loco.core.serialization import encode
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.workers import WorkerInfo
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.outcomes.inbox import OutcomeInbox

TASKS = "tests.unit.worker.tasks"


def job(name: str, *args: Any, **fields: Any) -> Job:
    """A job of the task ``name``, not enqueued. Async are those whose names say so."""
    is_async = (name.startswith("a") and name not in ("add", "a_set")) or name in (
        "stubborn",
        "own_timeout",
        "cancelled_by_itself",
    )
    values: dict[str, Any] = {"is_async": is_async, "arguments": encode([args, {}]), **fields}
    return Job(task_path=f"{TASKS}.{name}", backend="default", **values)


def held(name: str, *args: Any, **fields: Any) -> Job:
    """A job as a worker has fetched it."""
    return job(name, *args, **fields).claimed(worker_id="w1", token="t1", at=utcnow())


def claimed_of(name: str, *args: Any, **fields: Any) -> ClaimedJob:
    return ClaimedJob(held(name, *args, **fields))


def wait_until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """For what sets no event."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.002)


class TroubledQueue(MemoryQueue):
    """A memory queue whose calls raise on demand, and which counts them."""

    def __init__(self) -> None:
        super().__init__("default", {})
        self.troubles: dict[str, Exception] = {}
        self.calls: Counter[str] = Counter()
        self.closed = threading.Event()

    def _call(self, name: str) -> None:
        self.calls[name] += 1
        if name in self.troubles:
            raise self.troubles[name]

    def fetch(self, claim: Claim) -> list[Job]:
        self._call("fetch")
        return super().fetch(claim)

    def finish(self, outcomes: Sequence[Outcome]) -> set[str]:
        self._call("finish")
        return super().finish(outcomes)

    def renew(self, jobs: Sequence[Job], lease: float) -> set[str]:
        self._call("renew")
        return super().renew(jobs, lease)

    def register(self, worker: WorkerInfo) -> None:
        self._call("register")
        super().register(worker)

    def rescue(self, limit: int = 100) -> list[Job]:
        self._call("rescue")
        return super().rescue(limit)

    def prune(self, older_than: float, limit: int = 1000) -> int:
        self._call("prune")
        return super().prune(older_than, limit)

    def wait(self, timeout: float) -> bool:
        self._call("wait")
        return super().wait(timeout)

    def close(self) -> None:
        self.closed.set()


def fetched(queue: MemoryQueue, count: int, lease: float = 30) -> dict[str, ClaimedJob]:
    """Let a worker fetch ``count`` jobs."""
    queue.enqueue([job("nothing") for _ in range(count)])
    return {one.id: ClaimedJob(one) for one in queue.fetch(Claim(worker_id="w1", lease=lease, threads=count))}


def outcomes(finished: OutcomeInbox, count: int) -> dict[ClaimedJob, str]:
    """Wait for ``count`` outcomes; return their statuses by run."""
    found: dict[ClaimedJob, str] = {}

    def enough() -> bool:
        found.update((claimed, outcome.status) for claimed, outcome in finished.take())
        return len(found) >= count

    wait_until(enough)
    return found


class Clock:
    """Stands still until a test moves it. It begins at the present: claimed jobs take the time from the real clock."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


class FakePool:
    """Begins with what the test says."""

    def __init__(self, size: int) -> None:
        self.size = self.capacity = size
        self.inbox: list[ClaimedJob] = []
        self.is_quiet = False

    def quiet(self) -> None:
        self.is_quiet = True

    def submit(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        self.inbox += claimed_jobs

    def withdraw(self, limit: int) -> list[ClaimedJob]:
        taken, self.inbox = self.inbox[:limit], self.inbox[limit:]
        return taken

    def begin(self, count: int) -> None:
        for claimed in self.withdraw(count):
            claimed.started = True
