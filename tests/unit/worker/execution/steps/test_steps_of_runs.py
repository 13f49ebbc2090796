"""Steps of runs that are over, and of functions that have raised."""

from __future__ import annotations

import asyncio
import threading

import pytest

from django_loco.exceptions import Interrupted
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
