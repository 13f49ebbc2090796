"""Ends a run whose job sleeps, waits or has failed, while other steps of the job may still be running.

The asyncio tasks of an async job may come to several sleeps and waits, while steps in other tasks still run. The run
must not end before all tasks have come as far as they can. The next run would call a running step once more. And the
end of a wait that was not reached would not be noticed. So:

1. A call that has to sleep or wait is parked (``StepCall``).
2. When no call is running, tasks that have just ended a step get a moment to come to their next one.
3. Then one of the calls ends the run for all. The job runs again when the first sleep or wait ends or the first signal
   comes (``waits.outcome_of``).

An async job that fails, for instance because ``asyncio.gather`` raises the first error, ends only when the results of
the running steps are stored. Otherwise the next run would call these steps while they still run.

A sync job does not wait for its other threads: the first thread that sleeps or waits ends the run, and each other
thread goes on to its next step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, NoReturn

from asgiref.sync import sync_to_async

from ....core.job.waits import Wait
from ...claimed_job import ClaimedJob, Suspended
from ...step_call import StepCall

#: How often tasks are given the time of a query, or of some rounds of the event loop, to come to their next step.
_MOMENTS = 5


def suspend(claimed: ClaimedJob, call: StepCall, wait: Wait) -> NoReturn:
    """End the run: the job sleeps or waits."""
    call.wait = wait
    claimed.suspended = claimed.suspended or Suspended(wait)
    raise claimed.suspended


async def asuspend(claimed: ClaimedJob, call: StepCall, wait: Wait) -> NoReturn:
    """End the run as soon as no other call of the job is running."""
    call.wait = wait
    try:
        with call.parked():
            await _until_nothing_goes_on(claimed)
    except BaseException:
        if not claimed.suspended:  # the job has cancelled this wait
            call.wait = None
        raise
    suspend(claimed, call, wait)


async def _until_nothing_goes_on(claimed: ClaimedJob) -> None:
    moments = 0
    while moments < _MOMENTS and not claimed.suspended:
        call = _going_on(claimed)
        if call is None:
            moments += 1
            await sync_to_async(_nothing)()  # returns after the job's queries, since the job has one thread for them
        else:
            moments = 0
            await _ended(call)


async def with_steps(claimed: ClaimedJob, awaitable: Awaitable[Any]) -> Any:
    """Await the function of an async job. If it fails, wait for the steps that are running; no others begin.

    This wait ends early at the job's time limit and when its worker stops. The job still fails with its own error.
    """
    try:
        return await awaitable
    except Exception:
        claimed.has_failed = True
        with suppress(asyncio.CancelledError):
            while call := _going_on(claimed):
                await _ended(call)
        raise


def _going_on(claimed: ClaimedJob) -> StepCall | None:
    return next((call for call in list(claimed.steps.values()) if call.goes_on), None)


async def _ended(call: StepCall) -> None:
    await asyncio.wait({asyncio.wrap_future(call.ended)})


def _nothing() -> None:
    pass
