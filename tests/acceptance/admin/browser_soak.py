"""A soak that is stopped leaves no server, no worker and no browser: ``make browser``."""

from __future__ import annotations

import signal
import sys

import pytest

from ..test_children import Harness, harness

__all__ = ["harness"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_soak_that_is_stopped_leaves_nothing(harness: Harness, number: signal.Signals) -> None:
    soak = harness.start(sys.executable, "-m", "tests.acceptance.admin.soak", "--minutes", "5")
    soak.wait_for(r"^1: \d", timeout=60)
    assert len(harness.pids()) > 8, "the server, the worker, a driver and a browser of several processes"
    soak.signal(number)
    soak.wait()
    harness.wait_until_nothing_is_left()
