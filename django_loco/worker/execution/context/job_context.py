"""The ``context`` of a task: what a running job is told, and what it says, stores and waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from asgiref.sync import sync_to_async

from ....core.compat import TaskContext
from ....core.serialization import decode
from ....core.threads.monotonic import monotonic
from ....jobs.operations.batches.batch import Batch
from ....jobs.operations.batches.settling import batch_of
from ....jobs.operations.workflows.nodes import place_of
from ....jobs.operations.workflows.results import NodeResults
from ....jobs.operations.workflows.results import results_of as node_results
from ....jobs.operations.workflows.workflow import Workflow
from ....tasks.job_result import JobResult
from ...claimed_job import ClaimedJob
from ..kept_log import JobLogger
from ..steps import arun_step, asleep, await_for, results_of, run_step, sleep, wait_for
from ..steps.waits import RAISE
from .progress import report
from .saving import save

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext(TaskContext):  # type: ignore[misc, type-arg]  # the stubs know neither frozen nor plain
    """The ``context`` of a task with ``takes_context=True``: Django's ``task_result`` and ``attempt``, and more.

    A long job checks ``stopping`` regularly. When it is set, the job saves a checkpoint and raises ``Interrupted``::

        for number in range(context.checkpoint_value or 0, len(ids)):
            index(ids[number])
            context.checkpoint(number + 1)
            if context.stopping:
                raise Interrupted
    """

    claimed: ClaimedJob
    """The job as the worker holds it."""

    deadline: datetime | None = None
    """The end of the attempt's ``timeout`` (aware, UTC); ``None``: no limit."""

    ends_at: float | None = None
    """The same in seconds of ``core.threads.monotonic``."""

    @property
    def log(self) -> JobLogger:
        """The logger of the task's module. Its lines are kept with the job if the task has ``keep_log``."""
        return JobLogger(self.task_result.task.func.__module__, self.claimed.kept_log)

    def step(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``function(*args, **kwargs)``, or the result that an earlier run of this job has stored.

        The result (JSON) is stored with the job before this method returns, so later runs do not call the function.
        They call it again only if the run ends after the call and before the result is stored. ``name`` identifies the
        step within the job.

        Raises what the function raises; ``InvalidStep`` for a name that this run has used, for a result that is not
        JSON, with those of other steps more than ``MAX_RESULT_SIZE`` bytes, inside ``atomic()``, and in an async job;
        and ``Interrupted`` if another worker has the job, or it was cancelled, given up at its timeout or handed back.
        During an outage of the store it waits.
        """
        result: R = run_step(self.claimed, name, lambda: function(*args, **kwargs))
        return result

    async def astep(self, name: str, function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """``step`` for async jobs. A sync function runs in the thread that makes the job's queries."""
        return await arun_step(self.claimed, name, partial(function, *args, **kwargs))

    def sleep(
        self,
        name: str,
        length: timedelta | None = None,
        /,
        *,
        days: float | None = None,
        hours: float | None = None,
        minutes: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """Go on after some time: ``context.sleep("cool-down", hours=24)``.

        The first call ends the run, so the job holds neither a thread nor a lease, and spends no attempt. The job runs
        again when the time is up. In that run and in each later one, this call returns at once. ``name`` is a name as
        for ``step``.

        Raises the same errors as ``step``, and ``InvalidStep`` for a length below 0 or beyond the end of the calendar.
        """
        sleep(self.claimed, name, {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}, length)

    async def asleep(
        self,
        name: str,
        length: timedelta | None = None,
        /,
        *,
        days: float | None = None,
        hours: float | None = None,
        minutes: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """``sleep`` for async jobs."""
        parts = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        await asleep(self.claimed, name, parts, length)

    def wait_for(self, name: str, timeout: float | timedelta | None = None, *, default: Any = RAISE) -> Any:
        """Return the value that ``jobs.signal(id, name, value)`` sends, or has sent before this call.

        Until the signal is sent, the call ends the run, as ``sleep`` does. ``timeout`` is in seconds or a ``timedelta``
        and counts from the first call; ``None`` waits without an end. ``name`` is a name as for ``step``, and the value
        becomes the result of that step.

        Raises ``SignalTimeout`` when the time is up, unless there is a ``default`` to return. Raises the same errors as
        ``step``.
        """
        return wait_for(self.claimed, name, timeout, default)

    async def await_for(
        self,
        name: str,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - it may last days and spans several runs
        *,
        default: Any = RAISE,
    ) -> Any:
        """``wait_for`` for async jobs."""
        return await await_for(self.claimed, name, timeout, default)

    @property
    def steps(self) -> dict[str, Any]:
        """The stored results of the job's steps, by name."""
        return results_of(self.claimed)

    @property
    def batch(self) -> Batch | None:
        """The current state of the batch that the job belongs to or follows as a callback; ``None`` without a batch.

        A member may add members: ``context.batch.enqueue(...)``.
        """
        batch_id = batch_of(self.claimed.job)
        return None if batch_id is None else Batch.get(batch_id, backend=self.claimed.job.backend)

    async def abatch(self) -> Batch | None:
        """``batch`` for async jobs."""
        return await sync_to_async(lambda: self.batch)()

    @property
    def workflow(self) -> Workflow | None:
        """The current state of the workflow that has the job as a node; ``None`` if the job is not in a workflow.

        The job may add nodes: ``context.workflow.add(load, name="load")``.
        """
        job = self.claimed.job
        return None if place_of(job) is None else Workflow.get(str(job.batch), backend=job.backend)

    async def aworkflow(self) -> Workflow | None:
        """``workflow`` for async jobs."""
        return await sync_to_async(lambda: self.workflow)()

    @property
    def results(self) -> NodeResults:
        """The return values of earlier nodes by name: ``context.results["extract"]``. Each access reads the store.

        A node that has not succeeded has no return value and raises ``KeyError``. A job outside of a workflow has no
        results.
        """
        found = node_results(self.claimed.job)
        return NodeResults.empty() if found is None else found

    async def aresults(self) -> dict[str, Any]:
        """``results`` for async jobs: a dictionary of the nodes that the job waited for and that succeeded."""
        return await sync_to_async(self.results.loaded)()

    def remaining(self) -> float | None:
        """Return the seconds until ``deadline``, 0 if it has passed; ``None`` if there is no deadline."""
        return None if self.ends_at is None else max(0.0, self.ends_at - monotonic())

    @property
    def stopping(self) -> bool:
        """Whether the job should end soon: its worker stops, it was cancelled or given up, or another worker has it."""
        return self.claimed.stopping

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled the job. The queue has it as failed, and its return value will be discarded."""
        return self.claimed.cancelled is not None

    @property
    def checkpoint_value(self) -> Any:
        """A new copy of the last checkpoint, from this run or an earlier one; ``None`` if there is none."""
        text = self.claimed.job.checkpoint
        return None if text is None else decode(text)

    def checkpoint(self, value: Any) -> bool:
        """Save ``value`` (JSON) for the next run of this job, in case this run does not finish.

        The value is stored before this method returns. Inside ``atomic()`` it is stored after the commit, and not at
        all after a rollback. Returns whether it is or will be stored. Returns ``False`` if the queue cannot be reached,
        or if another worker has the job, which also sets ``stopping``. Raises ``TypeError`` or ``ValueError`` for a
        value that is not JSON, and ``ValueError`` for more than ``MAX_RESULT_SIZE`` bytes.
        """
        return save(self.claimed, "checkpoint", value)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the job, as ``using(metadata=...)`` and earlier runs have stored it.

        The job may change it. ``save_metadata`` stores it. The end of the attempt stores it too, even if the attempt
        fails.
        """
        return cast("JobResult[..., Any]", self.task_result).metadata

    def save_metadata(self) -> bool:
        """Store ``metadata`` as it is now. Stores, returns and raises as ``checkpoint`` does."""
        return save(self.claimed, "metadata", self.metadata)

    async def asave_metadata(self) -> bool:
        """``save_metadata`` for async jobs."""
        return await sync_to_async(self.save_metadata)()

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the job is, for ``result.progress`` and pages: ``context.progress(1200, 5000, "customers")``.

        Costs next to nothing, so it may be called for each item. The last values are stored within about a second and
        at the end of the attempt, unless the queue cannot be reached. Others see them even while the job's transaction
        is open.

        ``total`` is ``None`` if nobody knows it. Numbers below 0, NaN and infinite ones count as 0, or as unknown.
        Raises ``TypeError`` for anything else than a number.
        """
        report(self.claimed, done, total, note)

    async def aprogress(self, done: float, total: float | None = None, note: str = "") -> None:
        """``progress`` for async jobs. They may call ``progress`` as well, since neither method waits for the queue."""
        report(self.claimed, done, total, note)

    async def acheckpoint(self, value: Any) -> bool:
        """``checkpoint`` for async jobs. Does not block the event loop."""
        return await sync_to_async(self.checkpoint)(value)
