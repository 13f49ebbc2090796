"""Steps of runs that are over, and of functions that have raised."""

from __future__ import annotations

import asyncio
import threading

import pytest

from django_loco.exceptions import Interrupted, InvalidStep, JobTimeout
from django_loco.worker.claimed_job import Suspended
from django_loco.worker.execution import steps
from tests.unit.worker.support import claimed_of


@pytest.mark.parametrize("flag", ["expired", "cancelled", "released", "refused", "decided"])
def test_a_run_that_is_over_begins_no_step(flag):
    claimed, called = claimed_of("nothing"), []
    if flag == "decided":
        claimed.decide()
    else:
        setattr(claimed, flag, True)
    with pytest.raises(Interrupted, match="this run is over"):
        steps.run_step(claimed, "charge", lambda: called.append(1))
    with pytest.raises(Interrupted, match="this run is over"):
        asyncio.run(steps.arun_step(claimed, "charge", lambda: called.append(1)))
    assert called == []


def test_a_worker_that_is_about_to_end_lets_steps_begin():
    claimed = claimed_of("nothing")
    claimed.stop = threading.Event()
    claimed.stop.set()
    assert steps.run_step(claimed, "charge", lambda: 7) == 7


class Flaky:
    """Raises when it is called for the first time."""

    def __init__(self, first: BaseException):
        self.first, self.calls = first, 0

    def __call__(self):
        self.calls += 1
        if self.calls == 1:
            raise self.first
        return self.calls


@pytest.mark.parametrize("error", [ConnectionError, JobTimeout])
def test_a_step_that_has_raised_may_be_tried_again_in_the_same_run(error):
    claimed, flaky = claimed_of("nothing"), Flaky(error())
    with pytest.raises(error):
        steps.run_step(claimed, "charge", flaky)
    assert steps.run_step(claimed, "charge", flaky) == 2
    with pytest.raises(InvalidStep, match="has had a step of that name"):
        steps.run_step(claimed, "charge", flaky)


def test_an_async_step_that_has_raised_may_be_tried_again():
    async def job():
        claimed, flaky = claimed_of("nothing"), Flaky(ConnectionError())
        with pytest.raises(ConnectionError):
            await steps.arun_step(claimed, "charge", flaky)
        return await steps.arun_step(claimed, "charge", flaky)

    assert asyncio.run(job()) == 2


def test_a_sleep_that_has_ended_the_run_keeps_its_name():
    claimed = claimed_of("nothing")
    with pytest.raises(Suspended):
        steps.sleep(claimed, "nap", {"hours": 1}, None)
    assert list(claimed.steps) == ["nap"]
