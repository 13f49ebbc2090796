"""Run jobs in the thread and the transaction of a test, with the executor that workers use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from ..core.compat import Task, task_backends
from ..core.job import SUCCESSFUL, Job, Outcome
from ..core.job.waits import Wait, waits_of
from ..core.serialization import decode, encode_exact
from ..core.validation import COUNT_OR_NONE, is_whole, short
from ..exceptions import LocoConfigurationError, LocoError
from ..jobs.signing import sign
from ..log.plain_text import counted
from ..queues.memory.queue import MemoryQueue
from ..tasks.enqueueing.new_job import new_job
from ..worker.claimed_job import Suspended
from ..worker.execution.connections import usable_transactions
from ..worker.pools.inline import LEASE_SECONDS, run_once
from .assertions.expectation import require_task
from .environment import require_manual, require_queue, require_thread
from .waiting import WORKER_ID, Selection, claimed, hand_back

R = TypeVar("R")


def drain(
    queue: str | None = None,
    scheduled: bool = False,
    recursive: bool = True,
    raise_errors: bool = True,
    *,
    limit: int = 10_000,
) -> Counter[str]:
    """Run the waiting jobs of this test in the calling thread, the most urgent first, until none is left.

    Returns how many runs ended in which way: ``"successful"``, ``"failed"``, ``"retried"`` (failed, and another attempt
    waits), ``"cancelled"`` (discarded), ``"expired"``, ``"snoozed"``, or ``"released"`` (handed back without spending
    an attempt). A key that is missing counts 0.

    Args:
        queue: the name of the only queue to run jobs from.
        scheduled: whether to run jobs that are not due yet as well, and retries without their delay.
        recursive: whether to run the jobs that are enqueued meanwhile, too.
        raise_errors: whether to raise the exception of the first job that fails or has to wait for another attempt. The
            jobs after it keep waiting. If the task of a job cannot be imported, the exception is a ``LocoError``. With
            ``False``, exceptions are only in the results of the jobs.
        limit: the maximum number of runs, since jobs may enqueue themselves endlessly. Raises ``LocoError`` beyond it.

    Raises ``LocoConfigurationError`` outside of tests, for an unknown queue, for a value of a wrong type, and if jobs
    do not wait for the test: with ``LOCO["TESTING"]`` set to ``"live"`` or ``"inline"``, in ``ForegroundBlocking``, and
    without an alias of django-loco in ``TASKS``.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    require_manual("drain")
    require_queue(queue)
    for name, value in (("scheduled", scheduled), ("recursive", recursive), ("raise_errors", raise_errors)):
        if not isinstance(value, bool):
            raise LocoConfigurationError(f"{name} is {short(value)}; it must be True or False.")
    if problem := COUNT_OR_NONE.problem("limit", limit):
        raise LocoConfigurationError(problem)
    selection = Selection(queue, is_scheduled=scheduled, is_recursive=recursive)
    counts: Counter[str] = Counter()
    with closing(claimed(selection)) as jobs:
        for held in jobs:
            if counts.total() == limit:
                hand_back(held)
                number = counted(limit, "job", "jobs")
                raise LocoError(f"drain() has run {number} and {held[1].task_path} waits. Pass a higher limit.")
            outcome, error = run_once(*held, usable_transactions)
            counts[_name_of(outcome)] += 1
            if raise_errors and _stays_failed(outcome, selection):
                _raise(outcome, error, "drain(raise_errors=False) keeps it in the job's result.")
    return counts


def run_job(
    task: Task[..., R],
    /,
    *args: Any,
    attempt: int = 1,
    checkpoint: Any = None,
    metadata: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> R:
    """Run one attempt at a job of ``task`` in the calling thread, without enqueuing it. Return the task's value.

    It runs as in a worker: arguments and value are converted to JSON and back, time limits are enforced, and a task
    with ``takes_context`` gets a context.

    Args:
        args: the positional arguments of the task. If a parameter of the task has one of the names below, pass it by
            position.
        attempt: the number of the attempt, from 1: ``context.attempt``.
        checkpoint: the checkpoint that an earlier run has saved: ``context.checkpoint_value``.
        metadata: the metadata of the job: ``context.metadata``.
        kwargs: the keyword arguments of the task.

    Raises the exception of the task, with a note that says whether a worker would try again. Raises
    ``InvalidArguments`` for arguments that ``enqueue()`` would refuse, ``LocoError`` if the value is not JSON or the
    job sleeps or waits for a signal, and ``LocoConfigurationError`` for anything else than a task.
    """
    __tracebackhide__ = True
    require_task(task)
    require_thread("run_job")
    job = _with_history(_job_of(task, args, kwargs), attempt, checkpoint, metadata)
    queue = MemoryQueue(task.backend, {})
    held = queue.hold(job, WORKER_ID, LEASE_SECONDS)
    assert held is not None  # noqa: S101 - without a once-key it is always accepted
    outcome, error = run_once(queue, held, usable_transactions)
    if outcome.status != SUCCESSFUL:
        _raise(outcome, error)
    value: R = decode(outcome.return_value or "null")
    return value


def _job_of(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
    backend: Any = task_backends[task.backend]
    if hasattr(backend, "job_of"):
        return backend.job_of(task, args, kwargs)  # type: ignore[no-any-return]
    return sign([new_job(task, task.backend, args, kwargs)])[0]


def _with_history(job: Job, attempt: int, checkpoint: Any, metadata: Mapping[str, Any] | None) -> Job:
    """Return ``job`` in the state in which earlier runs would have left it."""
    if not is_whole(attempt, 1):
        raise LocoConfigurationError(f"attempt is {short(attempt)}; it must be a whole number, 1 or more.")
    job = replace(job, worker_ids=(WORKER_ID,) * (attempt - 1))
    if checkpoint is not None:
        job = replace(job, checkpoint=encode_exact(checkpoint))
    return job if metadata is None else replace(job, metadata=encode_exact(metadata))


def _stays_failed(outcome: Outcome, selection: Selection) -> bool:
    """Return whether a run has failed or could not begin, and no other attempt will follow in ``selection``."""
    ended = _name_of(outcome)
    if ended == "retried":
        return not selection.includes(outcome.applied())
    return ended == "failed" or _has_not_begun(outcome)


def _has_not_begun(outcome: Outcome) -> bool:
    """Return whether the job could not run here, for example because its task cannot be imported."""
    return _name_of(outcome) == "released" and outcome.error is not None


def _name_of(outcome: Outcome) -> str:
    return "released" if outcome.kind == "interrupted" else outcome.kind


def _raise(outcome: Outcome, error: BaseException | None, remedy: str = "") -> NoReturn:
    __tracebackhide__ = True
    job = outcome.job
    notes = [f"Raised by {job.task_path}, job {job.id}, in attempt {job.attempt}."]
    if _has_not_begun(outcome):
        notes = [f"{job.task_path}, job {job.id}, did not run."]
    if outcome.snoozed and not isinstance(error, Exception) and (waits := waits_of(job)):
        raise LocoError(_text_of_wait(job, [*waits.values()][-1]))
    if _name_of(outcome) == "retried" and outcome.run_after is not None:
        seconds = (outcome.run_after - outcome.at).total_seconds()
        notes.append(f"A worker would try again after {seconds:.0f} s.")
    notes += [remedy] if remedy else []
    if not isinstance(error, Exception):  # such as a return value that is not JSON, SystemExit, or no task to call
        reason = outcome.error.traceback if outcome.error else f"It ended as {outcome.status}."
        raise LocoError("\n".join([*notes, reason])) from error
    error.add_note(" ".join(notes))
    raise error.with_traceback(_of_project(error.__traceback__))


def _text_of_wait(job: Job, wait: Wait) -> str:
    end = "" if wait.until is None else f", until {wait.until}"
    move = "jobs.signal()" if wait.is_signal else "travel()"
    return (
        f"{job.task_path}, job {job.id}, has not ended: {Suspended(wait)}{end}. Enqueue it, and run the rest "
        f"by drain() after {move}."
    )


def _of_project(traceback: TracebackType | None) -> TracebackType | None:
    """Return the part of ``traceback`` below the functions of django-loco that call the task."""
    inner = traceback
    while inner is not None and inner.tb_frame.f_globals.get("__name__", "").startswith("django_loco."):
        inner = inner.tb_next
    return inner or traceback
