"""The thread that rescues and prunes."""

from __future__ import annotations

import pytest

from django_loco.exceptions import QueueUnavailable
from django_loco.worker.maintenance.housekeeping import Housekeeping

from ..support import Clock, TroubledQueue


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_rescue_that_fails_does_not_keep_old_results(queue, clock):
    queue.troubles["rescue"] = QueueUnavailable("too large")
    with pytest.raises(QueueUnavailable):
        Housekeeping(queue, 30, 60, clock).turn()
    assert queue.calls["prune"] == 1
