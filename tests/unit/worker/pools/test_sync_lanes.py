"""The threads in which sync code of async jobs runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from django_loco.worker.pools.sync_lanes import JobLane, SyncLane, SyncLanes

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


@pytest.fixture
def block() -> Iterator[Callable[[JobLane], None]]:
    """Blocks the lane of a job until the end of the test."""
    release = threading.Event()

    def block(job: JobLane) -> None:
        began = threading.Event()

        def call() -> None:
            began.set()
            release.wait(20)

        job.submit(call)
        assert began.wait(10)

    yield block
    release.set()


def test_a_call_that_was_cancelled_does_not_hide_the_one_that_runs(lanes, block):
    job = JobLane(lanes)
    block(job)
    assert job.submit(lambda: None).cancel()
    stuck = job.release()
    assert lanes.abandoned == {stuck}
    assert lanes.take() is not stuck


def test_a_lane_that_another_job_blocks_stays(lanes, block):
    first, second = JobLane(lanes), JobLane(lanes)
    block(first)
    block(second)
    third = JobLane(lanes)
    third.submit(lambda: None)
    third.leave_call()
    assert third.release() is None
    assert lanes.abandoned == set()


def test_calls_that_wait_behind_one_of_a_job_that_has_ended_go_elsewhere(block):
    lanes = SyncLanes(1)
    ended, live, idle, over = (JobLane(lanes) for _ in range(4))
    for job in (live, idle, over):
        job.submit(lambda: None).result(5)
    block(ended)
    calls = [live.submit(lambda number=number: number) for number in range(3)]
    left = over.submit(lambda: None)
    over.release()
    stuck = ended.release()
    assert [call.result(5) for call in calls] == [0, 1, 2]
    assert idle.submit(lambda: 17).result(5) == 17
    assert not left.done()  # of a job that has ended
    assert lanes.abandoned == {stuck}
    for job in (live, idle):
        assert job.release() is None
    lanes.close()
    lanes.join(5)


def test_a_job_shares_a_lane_if_the_system_has_no_more_threads(lanes, block, monkeypatch, caplog):
    def refuse(lane: SyncLane) -> None:
        raise RuntimeError("can't start new thread")

    first, second, third = JobLane(lanes), JobLane(lanes), JobLane(lanes)
    first.submit(lambda: None).result(5)
    with monkeypatch.context() as patched:
        patched.setattr(SyncLane, "start", refuse)
        assert second.submit(lambda: 17).result(5) == 17
        block(first)
        call = second.submit(lambda: 18)
        first.release()  # its lane is retired, and there is no other one
    assert "can't start new thread" in caplog.text
    assert third.submit(lambda: 19).result(5) == 19
    assert not call.done()
    second.release()
    third.release()


def test_a_lane_that_has_died_gets_no_job():
    lanes = SyncLanes(1)
    lane = lanes.take()
    lanes.give_back(lane)
    lane.close()
    lane.join(5)
    assert lanes.take() is not lane
    lanes.close()
    lanes.join(5)
