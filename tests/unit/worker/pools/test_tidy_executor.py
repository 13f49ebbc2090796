"""The threads of ``asyncio.to_thread``."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from django_loco.worker.pools.sync_lanes import SyncLane
from django_loco.worker.pools.tidy_executor import TidyExecutor

from ..support import wait_until


@pytest.fixture
def executor() -> Iterator[TidyExecutor]:
    executor = TidyExecutor("test-tidy")
    yield executor
    executor.close()
    for lane in executor._lanes:
        lane.join(5)
        assert not lane.is_alive()


def test_a_stuck_call_of_the_default_executor_does_not_keep_the_process(executor):
    release = threading.Event()
    stuck = executor.submit(release.wait, 20)
    assert executor.submit(lambda: threading.current_thread().daemon).result(5)
    release.set()
    assert stuck.result(5)
    assert len(executor._lanes) == 2


def test_its_threads_are_used_again_and_are_not_more_than_allowed(executor):
    executor._max_workers = 2
    for number in range(3):
        assert executor.submit(int, number).result(5) == number
        wait_until(lambda: executor._asked == sum(lane.answered for lane in executor._lanes))
    assert len(executor._lanes) == 1
    release = threading.Event()
    calls = [executor.submit(release.wait, 20) for _ in range(4)]
    assert len(executor._lanes) == 2
    release.set()
    assert all(call.result(5) for call in calls)


def test_it_makes_do_with_the_threads_that_the_system_has(executor, monkeypatch):
    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(SyncLane, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            executor.submit(int, 1)
    assert executor.submit(int, 2).result(5) == 2
    monkeypatch.setattr(SyncLane, "start", refuse)
    calls = [executor.submit(int, 3) for _ in range(2)]
    assert [call.result(5) for call in calls] == [3, 3]
