"""The end of a job that fails beside steps that go on."""

from __future__ import annotations

import asyncio

import pytest

from django_loco.exceptions import Interrupted
from django_loco.worker.execution import steps
from django_loco.worker.execution.attempt import within
from django_loco.worker.execution.steps.suspension import with_steps
from tests.unit.worker.support import claimed_of


async def failing():
    raise ConnectionError("it is away")


def test_steps_that_go_on_are_stored_before_a_failed_job_ends():
    claimed, after = claimed_of("nothing"), []

    async def charge():
        await asyncio.sleep(0.02)
        return "receipt"

    async def branch():
        await steps.arun_step(claimed, "charge", charge)
        try:
            await steps.arun_step(claimed, "ship", charge)
        except Interrupted as error:
            after.append(str(error))

    async def job():
        await asyncio.gather(branch(), steps.arun_step(claimed, "stock", failing))

    async def attempt():
        with pytest.raises(ConnectionError):
            await with_steps(claimed, job())
        await asyncio.sleep(0)

    asyncio.run(attempt())
    assert steps.results_of(claimed) == {"charge": "receipt"}
    assert not claimed.stopping  # after Interrupted that would let the job run again at once, without a pause
    [text] = after
    assert "'ship': it does not begin, because this run is over" in text


@pytest.mark.parametrize("end", ["timeout", "shutdown"])
def test_they_are_waited_for_until_the_timeout_or_the_shutdown(end):
    claimed = claimed_of("nothing")

    async def job():
        await asyncio.gather(steps.arun_step(claimed, "charge", forever), steps.arun_step(claimed, "stock", failing))

    async def forever():
        await asyncio.sleep(60)

    async def attempt():
        task = asyncio.create_task(within(0.02 if end == "timeout" else 60, with_steps(claimed, job())))
        if end == "shutdown":
            await asyncio.sleep(0.02)
            task.cancel()
        with pytest.raises(ConnectionError):
            await task

    asyncio.run(attempt())
