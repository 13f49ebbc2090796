"""Find the jobs that a test has enqueued and that have not run yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ...core import running_tests
from ...core.compat import Task, TaskResult
from ...core.job import Job
from ...core.validation import COUNT_OR_NONE
from ...exceptions import LocoConfigurationError
from ...tasks.results import result_of
from ..environment import require_manual, require_queue, require_waiting, stored_jobs
from .expectation import ANY_TIME, AnyTime, Expectation, require_findable
from .report import report

#: Makes unittest show the line of the test, and no line of this module.
__unittest = True


def all_enqueued(task: Task[..., Any] | None = None, queue: str | None = None) -> list[TaskResult[..., Any]]:
    """Return the waiting jobs that this test has enqueued, deferred ones too, in the order of ``enqueue()``.

    With ``task``, only its jobs; with ``queue``, only the jobs of the queue with this name. ``args`` and ``kwargs`` of
    a result are the values that the task will get. A job that waits for the end of a transaction is not enqueued yet,
    and never will be if the transaction is rolled back.

    Raises ``LocoConfigurationError`` outside of tests, for anything else than a task of django-loco, for an unknown
    queue, and if jobs do not wait for the test: with ``LOCO["TESTING"]`` set to ``"live"`` or ``"inline"``, in
    ``ForegroundBlocking``, and without an alias of django-loco in ``TASKS``.
    """
    require_manual("all_enqueued")
    if task is not None:
        require_findable(task)
        require_waiting("all_enqueued", task)
    require_queue(queue)
    jobs = [job for job in waiting_jobs() if queue is None or job.queue_name == queue]
    return [result_of(job) for job in jobs if task is None or job.task_path == task.module_path]


def assert_enqueued(
    task: Task[..., Any],
    /,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    partial: bool | Mapping[str, Any] = False,
    queue: str | None = None,
    run_after: datetime | timedelta | AnyTime | None = ANY_TIME,
    times: int | None = None,
) -> TaskResult[..., Any]:
    """Return the last waiting job of ``task`` that matches the description. Arguments that are left out match anything.

    Args:
        args: the positional arguments, and
        kwargs: the keyword arguments. They are compared by name: ``args=[1]`` is the same as ``kwargs={"user_id": 1}``
            if that is the name of the task's first parameter. ``args=[]`` is a call without arguments.
        partial: whether the call may have further arguments; or a dict of the arguments that it must have.
        queue: the name of the queue.
        run_after: the ``datetime`` from which the job may run, or the ``timedelta`` from ``enqueue()`` until then, give
            or take a second; ``None`` for a job that may run at once.
        times: the number of such jobs; by default one or more.

    Raises ``AssertionError`` if there is no such job, or not ``times`` of them. The error lists the waiting jobs,
    beginning with the most similar. Raises ``InvalidArguments`` for arguments that ``enqueue()`` would refuse,
    ``LocoConfigurationError`` for a wrong type in the description, and the errors of ``all_enqueued``.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    require_manual("assert_enqueued")
    require_queue(queue)
    if times is not None and (problem := COUNT_OR_NONE.problem("times", times)):
        raise LocoConfigurationError(problem)
    wanted = Expectation.of(task, args, kwargs, partial, queue, run_after)
    require_waiting("assert_enqueued", task)
    waiting = [result_of(job) for job in waiting_jobs()]
    found = [result for result in waiting if wanted.matches(result)]
    if not found and times != 0:
        raise AssertionError(report(f"{wanted} is not enqueued.", wanted, waiting))
    if times is not None and len(found) != times:
        raise AssertionError(report(f"{wanted} is enqueued {_times(len(found))}, not {times}.", wanted, waiting))
    return found[-1] if found else None  # type: ignore[return-value]  # None only with ``times=0``


def refute_enqueued(
    task: Task[..., Any],
    /,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    partial: bool | Mapping[str, Any] = False,
    queue: str | None = None,
    run_after: datetime | timedelta | AnyTime | None = ANY_TIME,
) -> None:
    """Raise ``AssertionError`` if a waiting job of ``task`` matches the description. See ``assert_enqueued``."""
    __tracebackhide__ = True
    require_manual("refute_enqueued")
    require_queue(queue)
    wanted = Expectation.of(task, args, kwargs, partial, queue, run_after)
    require_waiting("refute_enqueued", task)
    waiting = [result_of(job) for job in waiting_jobs()]
    if any(wanted.matches(result) for result in waiting):
        raise AssertionError(report(f"{wanted} is enqueued.", wanted, waiting))


def waiting_jobs() -> list[Job]:
    """Return the waiting jobs of this test, in the order of ``enqueue()``."""
    jobs = {job.id: job for job in stored_jobs()}
    return [jobs[job_id] for job_id in running_tests.enqueued() if job_id in jobs]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
