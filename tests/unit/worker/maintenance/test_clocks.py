"""Who sees the queue's clock part from the monotonic one waits until live workers have renewed."""

from __future__ import annotations

import pytest

from django_loco.core.job import RUNNING
from django_loco.queues import Claim
from django_loco.worker.maintenance.clocks import ClockWatch
from django_loco.worker.maintenance.housekeeping import Housekeeping

from ..support import TroubledQueue, job


class Clocks:
    """A wall clock and a monotonic clock."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_000_000.0, 5.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks):
    return ClockWatch(lambda: clocks.wall, 30, lambda: clocks.monotonic)


def test_clocks_that_run_alike_agree(watch, clocks):
    assert watch.agree()
    for _ in range(100):
        clocks.pass_(3)
        clocks.wall += 0.01  # two rates, not a leap; it adds up to one second
        assert watch.agree()


@pytest.mark.parametrize("leap", [3_600, -3_600, 3.5, -3.5])
def test_after_a_leap_they_do_not_for_more_than_a_renewal_period(watch, clocks, leap, caplog):
    assert watch.agree()
    clocks.pass_(3)
    clocks.wall += leap
    assert not watch.agree()
    assert f"it differs by {leap:+.1f} s" in caplog.text
    clocks.pass_(14)
    assert not watch.agree()
    clocks.pass_(1)
    assert watch.agree()
    assert len(caplog.records) == 1


def test_a_slow_answer_is_no_leap(clocks, caplog):
    delays = iter([0, 8, 0, 20, 0])

    def answer_slowly() -> float:
        told = clocks.wall
        clocks.pass_(next(delays))
        return told

    watch = ClockWatch(answer_slowly, 30, lambda: clocks.monotonic)
    assert all(watch.agree() for _ in range(5))
    assert caplog.text == ""


def test_after_a_slow_answer_a_leap_is_seen_all_the_same(clocks):
    delays = iter([8, 0, 0])

    def answer_slowly() -> float:
        told = clocks.wall
        clocks.pass_(next(delays))
        return told

    watch = ClockWatch(answer_slowly, 30, lambda: clocks.monotonic)
    assert [watch.agree(), watch.agree()] == [True, True]
    clocks.wall += 3.5
    assert not watch.agree()


def test_a_second_leap_begins_anew(watch, clocks):
    watch.agree()
    clocks.wall += 3_600
    watch.agree()
    clocks.pass_(14)
    clocks.wall -= 3_600
    assert not watch.agree()
    clocks.pass_(14)
    assert not watch.agree()
    clocks.pass_(1)
    assert watch.agree()


def test_upkeep_rescues_nothing_meanwhile(monkeypatch, clocks):
    queue = TroubledQueue()
    monkeypatch.setattr(queue, "clock", lambda: clocks.wall)
    queue.enqueue([job("nothing")])
    housekeeping = Housekeeping(queue, 30, 60)
    housekeeping.turn()
    queue.fetch(Claim(worker_id="w", lease=-1, threads=1))
    clocks.wall += 3_600
    housekeeping.turn()
    assert [one.status for one in queue.list()] == [RUNNING]
