"""The end of a run beside steps that go on: its job sleeps or waits, or has failed.

The tasks of an async job may come to several sleeps and waits, beside steps that go on. The run must not end before all
of them have come as far as they can: a step that goes on would be begun once more by the next run, and a wait that was
not reached would not be noticed when it is over. So:

1. A call that has to sleep or wait is parked (``StepCall``).
2. When no call goes on, tasks that have just ended a step get a moment to come to their next one.
3. Then one of the calls ends the run for all. The job runs again at the first of the ends, or after the first of the
   signals (``waits.outcome_of``).

An async job that fails, for instance because ``asyncio.gather`` raises the first error, ends when the steps that go on
are stored. The next run would call them once more, at the same time.

Threads of a sync job are not waited for: the first that sleeps or waits ends the run, and each goes as far as its next
step.
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

#: How often a task gets the time of a query, or of some rounds of the event loop, to come to its next step.
_MOMENTS = 5


def suspend(claimed: ClaimedJob, call: StepCall, wait: Wait) -> NoReturn:
    """End the run: the job sleeps or waits."""
    call.wait = wait
    claimed.suspended = claimed.suspended or Suspended(wait)
    raise claimed.suspended


async def asuspend(claimed: ClaimedJob, call: StepCall, wait: Wait) -> NoReturn:
    """End the run as soon as no other call of the job goes on."""
    call.wait = wait
    try:
        with call.parked():
            await _until_nothing_goes_on(claimed)
    except BaseException:
        if not claimed.suspended:  # the job has cancelled it, so it does not wait for this any more
            call.wait = None
        raise
    suspend(claimed, call, wait)


async def _until_nothing_goes_on(claimed: ClaimedJob) -> None:
    moments = 0
    while moments < _MOMENTS and not claimed.suspended:
        call = _going_on(claimed)
        if call is None:
            moments += 1
            await sync_to_async(_nothing)()  # after the queries of the job, which has one thread for them
        else:
            moments = 0
            await _ended(call)


async def with_steps(claimed: ClaimedJob, awaitable: Awaitable[Any]) -> Any:
    """Await the function of an async job. If it fails, wait for the steps that go on; no others begin.

    The time limit of the job and the end of its worker end the waiting. The job still fails with its own error.
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
