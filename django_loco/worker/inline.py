"""Jobs that run where they are enqueued: ``ForegroundBlocking``."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from ..job import READY, Job, Outcome
from ..queues.memory import MemoryQueue
from .attempt import Attempt
from .execute import execute
from .run import Run
from .timeouts import Alarm, Watch

WORKER_ID = "foreground"
#: Seconds. No other worker looks after these jobs, so that nothing has to be renewed.
LEASE = 86_400.0


def run_inline(queue: MemoryQueue, job: Job) -> Job | None:
    """Run a new ``job`` to its end in the calling thread: at once, with all its retries, without waiting in between.

    Returns the job as it ended, or ``None`` if the queue has seen its ``key``. ``KeyboardInterrupt`` fails the job and
    is raised again, for it was not meant for the job.
    """
    held = queue.hold(job, WORKER_ID, LEASE)
    while held is not None:
        outcome, interrupts = _run(Run(held, save=queue.checkpoint))
        ended = outcome.applied()
        if outcome.status != READY or not outcome.spent:
            queue.finish([outcome])
            if interrupts:
                raise interrupts[0]
            return ended
        held = queue.hold(ended, WORKER_ID, LEASE)
    return None


def _run(run: Run) -> tuple[Outcome, list[KeyboardInterrupt]]:
    """Run one attempt; return its outcome, and what it was interrupted by."""
    interrupts: list[KeyboardInterrupt] = []
    watch = Watch(on_stuck=_leave)

    def call(attempt: Attempt) -> Any:
        try:
            return watch.call(attempt)
        except KeyboardInterrupt as interrupt:
            interrupts.append(interrupt)
            raise

    outcome = copy_context().run(execute, run, call)
    watch.close()
    assert outcome is not None  # noqa: S101 - nobody else decides how this run ends
    return outcome, interrupts


def _leave(alarm: Alarm) -> None:
    """A job that cannot be interrupted holds up its caller: here is no other thread to go on with."""
