"""The threads in which sync code of async jobs runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from django_loco.worker.pools.sync_lanes import SyncLanes

from ..support import wait_until


@pytest.fixture
def lanes() -> Iterator[SyncLanes]:
    lanes = SyncLanes(2)
    yield lanes
    lanes.close()
    lanes.join(5)
    assert not any(lane.is_alive() for lane in lanes._lanes)


def test_a_free_lane_is_used_again(lanes):
    first = lanes.take()
    lanes.give_back(first)
    wait_until(lambda: first.load == 0)
    assert lanes.take() is first


def test_another_one_is_made_while_there_may_be_more(lanes):
    first, second = lanes.take(), lanes.take()
    assert first is not second
    third = lanes.take()
    assert third in (first, second)


def test_a_lane_that_is_stuck_is_avoided(lanes):
    release = threading.Event()
    stuck = lanes.take()
    stuck.submit(lambda: release.wait(20))
    lanes.give_back(stuck)
    for _ in range(3):
        lane = lanes.take()
        assert lane is not stuck
        lanes.give_back(lane)
        lane.submit(lambda: None).result(5)
    release.set()


def test_a_call_in_a_lane_may_raise_anything(lanes):
    lane = lanes.take()

    def leave() -> None:
        raise SystemExit(3)

    assert isinstance(lane.submit(leave).exception(5), SystemExit)
    assert lane.submit(lambda: 17).result(5) == 17


def test_a_cancelled_call_is_not_made(lanes):
    lane = lanes.take()
    release, made = threading.Event(), []
    lane.submit(lambda: release.wait(20))
    future = lane.submit(lambda: made.append(1))
    assert future.cancel()
    release.set()
    lane.submit(lambda: None).result(5)
    assert made == []


def test_a_lane_that_has_died_gets_no_job():
    lanes = SyncLanes(1)
    lane = lanes.take()
    lanes.give_back(lane)
    lane.close()
    lane.join(5)
    assert lanes.take() is not lane
    lanes.close()
    lanes.join(5)
