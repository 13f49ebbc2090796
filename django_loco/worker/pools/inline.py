"""Runs jobs in the calling thread: in ``ForegroundBlocking``, and in tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from typing import Any

from ...core.job import READY, Job, Outcome, utcnow
from ...core.threads import new_context
from ...jobs.operations.after_end import settle_ended
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.memory.queue import MemoryQueue
from ...queues.rows import appended_log
from ..claimed_job import ClaimedJob
from ..execution.attempt import Attempt
from ..execution.executor import execute
from ..execution.interrupter import ThreadInterrupter
from .sync_lanes import JobLane, SyncLanes

logger = get_logger("django_loco.worker")

WORKER_ID = "foreground"
#: The claims on these jobs are not renewed, and no other worker sees the jobs.
LEASE_SECONDS = 86_400.0


#: Makes the context manager that each attempt runs in.
Around = Callable[[], AbstractContextManager[object]]


def run_inline(queue: MemoryQueue, job: Job, around: Around = nullcontext) -> Job | None:
    """Run a new ``job`` to its end in the calling thread, at once, with all its retries and no pauses between them.

    ``around`` is entered for each attempt.

    A job that raises ``Interrupted`` or ``Snooze`` stays ready, and does not run again.

    Returns the job as it ended, or ``None`` if the queue has seen its ``key``. ``KeyboardInterrupt`` fails the job and
    is raised again, because it was not meant for the job.
    """
    held = queue.hold(job, WORKER_ID, LEASE_SECONDS)
    if held is None:
        return None
    log = None
    while True:
        with around():
            claimed = ClaimedJob(held, update=queue.update, queue=queue)
            outcome, error = _run(claimed)
        if claimed.is_forked:
            return outcome.applied()
        log = log if outcome.log is None else appended_log(log, outcome.log)
        if outcome.status != READY or not outcome.spent:
            break
        held = outcome.applied().claimed(worker_id=WORKER_ID, token=held.token or "", at=utcnow())
    if outcome.snoozed:
        logger.warning("%s is snoozed inside enqueue(), where nothing runs it again", one_line(job.task_path))
    _store(queue, replace(outcome, log=log), error)
    return outcome.applied()


def run_once(queue: Queue, job: Job, around: Around = nullcontext) -> tuple[Outcome, BaseException | None]:
    """Run one attempt at a claimed ``job`` in the calling thread. Return its outcome and the task's exception.

    ``around`` is entered for the attempt. ``KeyboardInterrupt`` fails the job and is raised again.
    """
    with around():
        claimed = ClaimedJob(job, update=queue.update, queue=queue)
        outcome, error = _run(claimed)
    if claimed.is_forked:  # the original stores the outcome and announces it
        return outcome, error
    _store(queue, outcome, error)
    if claimed.announcement is not None:
        new_context().run(claimed.announcement)
    settle_ended(queue, [job])
    return outcome, error


def _store(queue: Queue, outcome: Outcome, error: BaseException | None) -> None:
    queue.finish([outcome])
    if isinstance(error, KeyboardInterrupt):
        raise error


def _run(claimed: ClaimedJob) -> tuple[Outcome, BaseException | None]:
    """Run one attempt; return its outcome, and the exception of the task."""
    errors: list[BaseException] = []
    # A stuck job blocks its caller, since no other thread could continue instead.
    interrupter = ThreadInterrupter(on_stuck=lambda _call: None)

    def call(attempt: Attempt) -> Any:
        try:
            return interrupter.call(attempt)
        except BaseException as error:
            errors.append(error)
            raise

    # In async code the calling thread is the one to which asgiref sends all thread-sensitive calls of the process. The
    # job's calls go to a thread of its own; otherwise the job and its calls would wait for each other.
    context = new_context()
    with closing(SyncLanes(1)) as lanes:
        context.run(JobLane(lanes).use)
        outcome = context.run(execute, claimed, call)
        interrupter.end()
    assert outcome is not None  # noqa: S101 - no other thread decides on this job
    return claimed.with_log(outcome), errors[0] if errors else None
