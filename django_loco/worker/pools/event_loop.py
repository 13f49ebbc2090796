"""The pool for async jobs: one event loop, in a thread of its own. It also cancels coroutines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from inspect import iscoroutinefunction
from threading import current_thread
from typing import Any
from weakref import WeakSet

from asgiref.sync import ThreadSensitiveContext, sync_to_async

from ...core.backoff import LoggedBackoff
from ...core.job import Outcome
from ...core.threads import DaemonThread
from ...core.threads.stacks import stack_of_task
from ...log.safe import get_logger
from ..claimed_job import ClaimedJob
from ..execution.attempt import Attempt, within
from ..execution.connections import drop_all
from ..execution.executor import aexecute, context_for_jobs
from ..execution.interrupter import GRACE_SECONDS
from ..execution.steps.suspension import with_steps
from .loop_thread import BEAT_SECONDS, LoopThread
from .sync_lanes import JobLane, SyncLane, SyncLanes
from .threads import Report
from .unfinished import end_unfinished, give_up_stuck

logger = get_logger("django_loco.worker")


class EventLoopPool:
    """Runs async jobs, ``size`` at a time, on one event loop in one thread.

    The thread, a ``LoopThread``, starts with the first job. It alone touches the tasks; other threads send it a call,
    once per batch.
    """

    def __init__(self, size: int, lanes: int, alias: str, report: Report, grace: float = GRACE_SECONDS) -> None:
        """``lanes`` is the number of threads for the sync parts. ``grace``: see ``interrupter``, in seconds."""
        self.size = size
        self._alias = alias
        self._report = report
        self._grace = grace
        self._waiting: deque[ClaimedJob] = deque()
        self._tasks: dict[ClaimedJob, asyncio.Task[None]] = {}
        self._calls: dict[ClaimedJob, tuple[Attempt, JobLane]] = {}
        self._abandoned: dict[asyncio.Task[None], SyncLane | None] = {}
        self._cancelled: WeakSet[asyncio.Task[None]] = WeakSet()
        self._lanes = SyncLanes(lanes)
        self._starts = LoggedBackoff(logger, "The worker", "start the event loop for jobs", 0.0, 0.0)
        self._is_closed = self._is_quiet = False
        self._thread: LoopThread | None = None
        self._context = Context()

    @property
    def capacity(self) -> int:
        """How many jobs it can run."""
        return self.size

    def submit(self, claimed_jobs: Sequence[ClaimedJob]) -> None:
        """Run ``claimed_jobs`` as soon as there is room. Called by one thread only."""
        self._waiting.extend(claimed_jobs)
        if self._thread is None:
            self._start_loop()
        self._call_soon(self._fill)

    def _start_loop(self) -> None:
        try:
            thread = LoopThread(on_start=self._take_context, on_beat=self._sweep, on_end=self._lanes.close)
            self._thread = thread  # set before jobs begin in the thread, since other threads may cancel them at once
            if self._is_closed:  # meanwhile
                thread.stop()
            thread.start()
        except BaseException as error:  # noqa: BLE001 - jobs that do not begin are handed back in a second
            self._starts.failed(error)
            self._thread = None
        else:
            self._starts.succeeded()

    def _take_context(self) -> None:
        self._context = context_for_jobs(self._alias)

    def warm_up(self) -> None:
        """Start all threads at once."""
        self.submit(())
        self._lanes.warm_up()

    def withdraw(self, limit: int) -> list[ClaimedJob]:
        """Take back up to ``limit`` jobs that have not begun, the oldest first."""
        taken: list[ClaimedJob] = []
        while len(taken) < limit and (claimed := self._next()) is not None:
            taken.append(claimed)
        return taken

    def replace_dead(self) -> None:
        """Start the loop again if its thread has died, which should not happen. Called now and then by the fetcher."""
        if not self.missing:
            return
        logger.critical("The event loop for jobs has died and is started again")
        self._thread = None
        tasks, self._tasks = self._tasks, {}
        for claimed in tasks:
            outcome = end_unfinished(claimed, RuntimeError("the event loop has died"))
            if outcome is not None:
                self._report(claimed, outcome)
        self.submit(())

    @property
    def missing(self) -> int:
        """The number of threads that have died and are not replaced yet."""
        return int(not self._is_closed and (thread := self._thread) is not None and thread.has_ended)

    def quiet(self) -> None:
        """Let no more jobs begin: they wait until they are withdrawn."""
        self._is_quiet = True

    def resume(self) -> None:
        """Let jobs begin again."""
        self._is_quiet = False
        self._call_soon(self._fill)

    def interrupt(self, claimed: ClaimedJob) -> None:
        """Cancel the asyncio task of a job that somebody cancelled, if it runs here."""
        self._call_soon(self._interrupt, claimed)

    def cancel(self) -> None:
        """Cancel every job; all are handed back."""
        self._call_soon(self._cancel_all)

    def close(self) -> None:
        """End the loop; jobs that still run are cancelled."""
        self._is_closed = True
        if (thread := self._thread) is not None:
            thread.stop()

    def _call_soon(self, function: Callable[..., object], *args: object) -> None:
        if (thread := self._thread) is not None:  # other threads may replace it at any time
            thread.call(function, *args)

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the thread. Return ``True`` if it has ended, or if a job holds it up."""
        if (thread := self._thread) is None:
            return True
        thread.join(timeout)
        self._lanes.join(min(timeout, BEAT_SECONDS))
        return thread.has_ended or bool(self._tasks)

    @property
    def abandoned(self) -> int:
        """The number of jobs that were given up and still run."""
        return len(self._lanes.abandoned.union(lane or task for task, lane in self._abandoned.copy().items()))

    @property
    def lag(self) -> float:
        """The seconds for which a job has been holding up the loop by not awaiting; usually 0."""
        return 0.0 if (thread := self._thread) is None else thread.lag

    def _next(self) -> ClaimedJob | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    @property
    def _may_begin(self) -> bool:
        return not (self._is_quiet or self._is_closed)

    def _fill(self) -> None:
        while self._may_begin and len(self._tasks) < self.size and (claimed := self._next()) is not None:
            claimed.thread = current_thread()
            claimed.started = True
            loop = asyncio.get_running_loop()
            self._tasks[claimed] = loop.create_task(self._attend(claimed), context=self._context.copy())

    def _sweep(self) -> None:
        """Hand back jobs whose tasks were cancelled by other jobs before their first step."""
        for claimed in [claimed for claimed, task in self._tasks.items() if task.done()]:
            del self._tasks[claimed]
            outcome = claimed.outcome_or(Outcome.released(claimed.job))
            if outcome is not None:
                self._report(claimed, outcome)
        self._fill()

    async def _attend(self, claimed: ClaimedJob) -> None:
        lane = JobLane(self._lanes)
        try:
            async with ThreadSensitiveContext(executor=lane):
                outcome = await aexecute(claimed, partial(self._call, lane))
        except BaseException as error:
            logger.exception("Job %s could not be run", claimed.job.id)
            outcome = end_unfinished(claimed, error)
        finally:
            lane.release()
        self._tasks.pop(claimed, None)
        if outcome is not None:  # ``None`` if the job was given up and this outcome comes too late
            self._report(claimed, outcome)
        self._fill()

    async def _call(self, lane: JobLane, attempt: Attempt) -> Any:
        if attempt.claimed.released:
            raise asyncio.CancelledError
        self._calls[attempt.claimed] = attempt, lane
        try:
            timeout = attempt.policy.timeout
            if timeout is None:
                return await _begun(attempt)
            loop = asyncio.get_running_loop()
            timer = loop.call_later(timeout + self._grace, self._give_up, attempt, lane)
            try:
                return await within(timeout, _begun(attempt))
            finally:
                if loop.time() < timer.when() - self._grace:  # otherwise announcing its end has a limit, too
                    timer.cancel()
        finally:
            self._calls.pop(attempt.claimed, None)
            lane.leave_call()

    def _interrupt(self, claimed: ClaimedJob) -> None:
        task, call = self._tasks.get(claimed), self._calls.get(claimed)
        if task is not None and call is not None and self._cancel_once(task):
            asyncio.get_running_loop().call_later(self._grace, self._give_up, *call)

    def _give_up(self, attempt: Attempt, lane: JobLane) -> None:
        """Give up a job that was cancelled and whose asyncio task does not end."""
        claimed = attempt.claimed
        task = self._tasks.get(claimed)
        if task is None:
            return
        if not claimed.decide() and claimed.outcome is None:  # the job is handed back
            return
        del self._tasks[claimed]
        self._abandoned[task] = lane.release()
        task.add_done_callback(self._abandoned.pop)
        place = f"it was at:\n{stack_of_task(task)}"
        if claimed.outcome is not None:
            text = "The announcement of the end of job %s does not end. When it was given up, %s"
            logger.error(text, attempt.job.id, place)
            self._report(claimed, claimed.outcome)
        else:
            self._start_report(attempt, place)
        self._fill()

    def _start_report(self, attempt: Attempt, place: str) -> None:
        """Report a job that is given up, in a new thread, because other jobs may block every lane."""
        report = partial(self._report_stuck, attempt, place)
        try:
            DaemonThread(target=report, name="loco-worker-report").start()
        except RuntimeError:  # the system has no more threads; the job is decided, and nobody else would report it
            logger.exception("The end of job %s is reported on the event loop", attempt.job.id)
            report()

    def _report_stuck(self, attempt: Attempt, place: str) -> None:
        self._report(attempt.claimed, give_up_stuck(attempt, place))
        drop_all()

    def _cancel_all(self) -> None:
        for claimed, task in tuple(self._tasks.items()):
            if not (claimed.released or claimed.is_decided):
                claimed.released = True
                self._cancel_once(task)

    def _cancel_once(self, task: asyncio.Task[None]) -> bool:
        """Cancel the task of a job and return ``True``; ``False`` if it was cancelled before and is cleaning up."""
        is_first = task not in self._cancelled
        if is_first:
            self._cancelled.add(task)
            task.cancel()
        return is_first


async def _begun(attempt: Attempt) -> Any:
    try:
        if iscoroutinefunction(attempt.function):
            value = await with_steps(attempt.claimed, attempt.begin())
        else:  # the task was async when the job was enqueued, and is sync now
            value = await sync_to_async(attempt.call)()
    except BaseException as error:
        attempt.claimed.end_fork(error)
        raise
    attempt.claimed.end_fork()
    return value
