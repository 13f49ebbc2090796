"""Jobs that run where they are enqueued: ``ForegroundBlocking``."""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import replace
from typing import Any

from ..job import READY, Job
from ..queues import Claim, Queue
from .attempt import Attempt
from .execute import execute
from .run import Run
from .timeouts import Alarm, Watch

WORKER_ID = "foreground"
#: Seconds. No other worker looks after these jobs, so that nothing has to be renewed.
LEASE = 86_400.0


def run_inline(queue: Queue, job: Job) -> None:
    """Run ``job``, just enqueued, to its end in the calling thread: retries and all, without waiting in between.

    A job with a ``run_after`` in the future waits, and runs with the first one of its queue that is enqueued when it
    is due. ``KeyboardInterrupt`` fails the job and is raised again, for it was not meant for the job.
    """
    claim = Claim(
        worker_id=WORKER_ID,
        lease=LEASE,
        threads=int(not job.is_async),
        coroutines=int(job.is_async),
        queues=(job.queue_name,),
    )
    ended: set[str] = set()
    while job.id not in ended and (held := queue.fetch(claim)):
        ended.update(one.id for one in held if _run(queue, one))


def _run(queue: Queue, job: Job) -> bool:
    """Run one attempt; return whether there will be no other."""
    interrupts: list[KeyboardInterrupt] = []
    watch = Watch(on_stuck=_leave)

    def call(attempt: Attempt) -> Any:
        try:
            return watch.call(attempt)
        except KeyboardInterrupt as interrupt:
            interrupts.append(interrupt)
            raise

    outcome = copy_context().run(execute, Run(job), call)
    watch.close()
    assert outcome is not None  # noqa: S101 - nobody else decides how this run ends
    again = outcome.status == READY and outcome.spent
    queue.finish([replace(outcome, run_after=None) if again else outcome])
    if interrupts:
        raise interrupts[0]
    return not again


def _leave(alarm: Alarm) -> None:
    """A job that cannot be interrupted holds up its caller: here is no other thread to go on with."""
