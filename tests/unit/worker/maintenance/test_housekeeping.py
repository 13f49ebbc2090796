"""The thread that rescues and prunes."""

from __future__ import annotations

import pytest

from django_loco.core.job import Job
from django_loco.exceptions import QueueUnavailable
from django_loco.metrics.tally import Tally
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


@pytest.fixture
def tally() -> Tally:
    return Tally()


def count(tally: Tally) -> None:
    tally.lost([Job(task_path="shop.send", backend="default")])


def test_statistics_are_written_once_a_minute_even_if_rescues_fail(queue, clock, tally):
    queue.troubles["rescue"] = QueueUnavailable("too large")
    housekeeping = Housekeeping(queue, 30, 60, clock, tally=tally)
    for _ in range(40):
        count(tally)
        with pytest.raises(QueueUnavailable):
            housekeeping.turn()
        clock.now += 3
    [found] = {each.labels: each.runs for each in queue.minutes(0)}.values()
    assert found == 21


def test_statistics_are_written_at_the_end(queue, clock, tally):
    housekeeping = Housekeeping(queue, 30, 60, clock, tally=tally)
    count(tally)
    housekeeping.close()
    assert [each.runs for each in queue.minutes(0)] == [1]


def test_the_end_does_not_wait_for_a_queue_that_is_away(queue, clock, tally):
    housekeeping = Housekeeping(queue, 30, 60, clock, tally=tally)
    housekeeping.failed(QueueUnavailable("gone"))
    count(tally)
    housekeeping.close()
    assert queue.minutes(0) == []
