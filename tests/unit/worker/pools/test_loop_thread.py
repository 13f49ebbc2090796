"""The thread of the event loop, without jobs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from django_loco.core.threads import DaemonThread
from django_loco.worker.pools import loop_thread
from django_loco.worker.pools.loop_thread import LoopThread

from ..support import wait_until


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def thread(told: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopThread]:
    monkeypatch.setattr(loop_thread, "BEAT_SECONDS", 0.01)

    def beat() -> None:
        if told[-1:] != ["beat"]:
            told.append("beat")

    thread = LoopThread(on_start=lambda: told.append("start"), on_beat=beat, on_end=lambda: told.append("end"))
    yield thread
    thread.stop()
    thread.join(5)
    if not thread.loop.is_closed():
        thread.loop.close()


def test_it_says_when_it_starts_beats_and_ends(thread, told):
    assert not thread.has_ended
    thread.start()
    wait_until(lambda: "beat" in told)
    thread.stop()
    thread.join(5)
    assert thread.has_ended
    assert told == ["start", "beat", "end"]


def test_what_stops_the_loop_does_not_end_the_thread(thread):
    thread.start()
    thread.call(thread.loop.stop)  # as a job may do
    called = threading.Event()
    thread.call(called.set)
    assert called.wait(5)
    assert not thread.has_ended


def test_tasks_that_are_left_are_cancelled_at_the_end(thread):
    cancelled = threading.Event()

    async def task() -> None:
        try:
            await asyncio.sleep(20)
        finally:
            cancelled.set()

    thread.start()
    tasks: list[asyncio.Task[None]] = []
    thread.call(lambda: tasks.append(thread.loop.create_task(task())))
    wait_until(lambda: tasks)
    thread.stop()
    thread.join(5)
    assert cancelled.is_set()


def test_a_thread_that_is_stopped_before_its_start_ends_at_once(thread, told):
    thread.stop()
    thread.start()
    thread.join(5)
    assert thread.has_ended
    assert told[:2] == ["start", "end"]


def test_a_closed_loop_can_be_asked(thread):
    thread.loop.close()
    thread.call(print)
    thread.stop()


def test_without_a_thread_the_loop_is_closed(thread, monkeypatch):
    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(DaemonThread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        thread.start()
    assert thread.loop.is_closed()
    assert (thread.has_ended, thread.lag) == (False, 0.0)
