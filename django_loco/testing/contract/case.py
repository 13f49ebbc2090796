"""The base class and helpers of all parts of the contract."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property
from typing import Any

from ...core.compat import TaskError
from ...core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, utcnow
from ...queues import Claim, Queue

THREADS = 8
#: A call that should return at once counts as hung after this many seconds.
HUNG_AFTER_SECONDS = 20.0


class ContractCase:
    """An empty queue, and short methods for common steps."""

    def make_queue(self) -> Queue:
        """Return the queue under test."""
        raise NotImplementedError("Define make_queue(), which returns the queue under test.")

    @cached_property
    def queue(self) -> Queue:
        """The queue of this test."""
        queue = self.make_queue()
        queue.clear()
        return queue

    def job(self, *, age: float = 0, **given: Any) -> Job:
        """Return a new job that was enqueued ``age`` seconds ago."""
        enqueued_at = utcnow() - timedelta(seconds=age)
        fields: dict[str, Any] = {"task_path": "shop.tasks.send", "backend": self.queue.alias}
        return Job(**fields | {"enqueued_at": enqueued_at} | given)

    def enqueue(self, **given: Any) -> Job:
        """Store one new job."""
        [job] = self.queue.enqueue([self.job(**given)])
        return job

    def fetch(self, **given: Any) -> list[Job]:
        """Fetch as a worker with many free threads and coroutines."""
        asked: dict[str, Any] = {
            "worker_id": "worker-1",
            "lease": 60.0,
            "threads": 10_000,
            "coroutines": 10_000,
        } | given
        return self.queue.fetch(Claim(**asked))

    def held(self, **given: Any) -> Job:
        """Store one new job and fetch it."""
        job = self.enqueue(**given)
        [held] = self.fetch()
        assert held.id == job.id
        return held

    def stored(self, job: Job) -> Job:
        """Return the present state of ``job`` in the queue."""
        found = self.queue.get(job.id)
        assert found is not None
        return found

    def side_by_side(self, function: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
        """Call ``function`` with 0, 1, ..., each in its own thread. Return the results."""

        def call(number: int) -> Any:
            try:
                return function(number)
            finally:
                self.queue.close()

        self.queue  # noqa: B018 - created before the threads use it
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(call, range(threads)))


def done(job: Job, value: str = "null", **given: Any) -> Outcome:
    """Return the outcome of a job that returned ``value`` (JSON)."""
    return Outcome(job=job, status=SUCCESSFUL, return_value=value, **given)


def failed(job: Job, text: str = "no", **given: Any) -> Outcome:
    """Return the outcome of a job that has failed for good."""
    return Outcome(job=job, status=FAILED, error=error_of(text), **given)


def retry(job: Job, text: str = "not yet", **given: Any) -> Outcome:
    """Return the outcome of a job that has failed and will be retried."""
    return Outcome(job=job, status=READY, error=error_of(text), **given)


def error_of(text: str) -> TaskError:
    """Return an error with ``text`` in its traceback."""
    return TaskError(exception_class_path="builtins.ValueError", traceback=f"Traceback:\nValueError: {text}\n")


def in_seconds(seconds: float) -> Any:
    """Return the time in ``seconds`` from now."""
    return utcnow() + timedelta(seconds=seconds)
