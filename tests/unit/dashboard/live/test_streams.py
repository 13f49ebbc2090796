"""The streams of a process: their number, what wakes them, and their end."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

from django_loco import shutdown
from django_loco.dashboard.live import streams as module
from django_loco.dashboard.live.streams import Streams

LONG = 60.0


@pytest.fixture(autouse=True)
def no_connections(monkeypatch):
    monkeypatch.setattr(module.connections, "close_all", lambda: None)


@pytest.fixture
def marks(monkeypatch):
    """A queue of the marks that are seen one after another; the last one stays."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    return queue.SimpleQueue()


@pytest.fixture
def streams(marks):
    last = ["m1"]

    def look():
        if not marks.empty():
            last[0] = marks.get()
        return last[0]

    return Streams(look)


async def listen(streams, known="", count=1, last=""):
    """Return the marks up to ``last``, or the first ``count``."""
    found = []
    with streams.listen() as stream:
        async for mark in stream.marks(known, LONG, LONG):
            found.append(mark)
            if mark == last or (not last and len(found) == count):
                break
    return found


def test_each_new_mark_is_told_once(streams, marks):
    async def run():
        task = asyncio.create_task(listen(streams, last="m3"))
        await asyncio.sleep(0)  # it listens now
        for mark in ("m2", "m2", "m3"):
            marks.put(mark)
        return await task

    found = asyncio.run(asyncio.wait_for(run(), LONG))
    assert found[-1] == "m3"
    assert len(set(found)) == len(found)


def test_a_mark_that_is_known_is_not_told(streams, marks):
    async def run():
        task = asyncio.create_task(listen(streams, known="m1"))
        await asyncio.sleep(0)  # it listens now
        marks.put("m2")
        return await task

    assert asyncio.run(asyncio.wait_for(run(), LONG)) == ["m2"]


def test_a_store_that_cannot_tell_is_news_every_other_second(marks, monkeypatch):
    monkeypatch.setattr(module, "UNKNOWN_SECONDS", 0.01)
    found = asyncio.run(asyncio.wait_for(listen(Streams(lambda: ""), count=2), LONG))
    assert all(mark.startswith("unknown-") for mark in found)


def test_there_are_no_more_than_the_limit(streams, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 2)

    async def run():
        with streams.listen() as one, streams.listen() as two, streams.listen() as three:
            return one is not None, two is not None, three, streams.is_full

    assert asyncio.run(run()) == (True, True, None, True)
    assert not streams.is_full


def test_a_stream_beats_and_ends_by_itself(streams):
    async def run():
        with streams.listen() as stream:
            return [mark async for mark in stream.marks("m1", 0.1, 0.01)]

    found = asyncio.run(run())
    assert found
    assert set(found) == {""}


def test_all_end_when_the_process_does_and_none_begin(streams):
    async def run():
        with streams.listen() as stream:
            waiting = asyncio.create_task(anext(stream.marks("m1", LONG, LONG), None))
            await asyncio.sleep(0)
            shutdown.remember()
            streams.end(None)
            assert await asyncio.wait_for(waiting, LONG) is None
            with streams.listen() as other:
                assert other is None

    try:
        asyncio.run(run())
    finally:
        shutdown.forget()


def test_the_thread_ends_with_the_last_stream(streams):
    asyncio.run(asyncio.wait_for(listen(streams), LONG))
    for thread in threading.enumerate():
        if thread.name == "loco-dashboard":
            thread.join(LONG)
    assert streams._thread is None
    assert asyncio.run(asyncio.wait_for(listen(streams), LONG)) == ["m1"]


def test_a_stream_without_a_thread_takes_no_room_and_the_next_one_gets_a_thread(streams, no_thread):
    async def refused():
        with streams.listen():
            pass

    with no_thread("loco-dashboard"), pytest.raises(RuntimeError, match="new thread"):
        asyncio.run(refused())
    assert len(streams) == 0
    assert asyncio.run(asyncio.wait_for(listen(streams), LONG)) == ["m1"]
