"""The clock of time limits."""

from __future__ import annotations

import time

import pytest
import time_machine
from freezegun import freeze_time

from django_loco.core.threads.monotonic import monotonic


@pytest.mark.parametrize("stop", [freeze_time, lambda to: time_machine.travel(to, tick=False)])
def test_clocks_of_tests_do_not_stop_it(stop):
    with stop("2030-01-01"):
        before = monotonic()
        time.sleep(0.01)
        assert 0.01 <= monotonic() - before < 60


def test_it_is_the_usual_one():
    assert abs(monotonic() - time.monotonic()) < 60
