"""Runs jobs in the calling thread: in ``ForegroundBlocking``, and in tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from typing import Any

from ...core.job import READY, Job, Outcome, utcnow
from ...queues import Queue
from ...queues.memory.queue import MemoryQueue
from ..claimed_job import ClaimedJob
from .attempt import Attempt
from .executor import execute
from .interrupter import ThreadInterrupter

WORKER_ID = "foreground"
#: The claims on these jobs are not renewed, and no other worker sees the jobs.
LEASE_SECONDS = 86_400.0


def run_inline(queue: MemoryQueue, job: Job) -> Job | None:
    """Run a new ``job`` to its end in the calling thread, at once, with all its retries and no pauses between them.

    Returns the job as it ended, or ``None`` if the queue has seen its ``key``. Raises what ``run_held`` raises.
    """
    held = queue.hold(job, WORKER_ID, LEASE_SECONDS)
    return run_held(queue, held)[0] if held is not None else None


def run_held(
    queue: Queue, job: Job, around: Callable[[], AbstractContextManager[object]] = nullcontext
) -> tuple[Job, BaseException | None]:
    """Run a ``job`` that is claimed to its end in the calling thread, with all its retries and no pauses between them.

    ``around`` is entered for each attempt. Returns the job as it ended, and the exception of its last attempt.
    ``KeyboardInterrupt`` fails the job and is raised again, because it was not meant for the job.
    """
    while True:
        claimed = ClaimedJob(job, update=queue.update)
        with around():
            outcome, error = _run(claimed)
        if outcome.status != READY or not outcome.spent:
            break
        job = outcome.applied().claimed(worker_id=job.worker_id or "", token=job.token or "", at=utcnow())
    queue.finish([outcome])
    if isinstance(error, KeyboardInterrupt):
        raise error
    return outcome.applied(), error


def _run(claimed: ClaimedJob) -> tuple[Outcome, BaseException | None]:
    """Run one attempt; return its outcome, and the exception of the task."""
    errors: list[BaseException] = []
    # A stuck job blocks its caller: no other thread could continue instead.
    interrupter = ThreadInterrupter(on_stuck=lambda _call: None)

    def call(attempt: Attempt) -> Any:
        try:
            return interrupter.call(attempt)
        except BaseException as error:
            errors.append(error)
            raise

    outcome = Context().run(execute, claimed, call)
    interrupter.end()
    assert outcome is not None  # noqa: S101 - no other thread decides on this job
    return outcome, errors[0] if errors else None
