"""What was counted is written once a minute, and a queue that refuses it troubles nobody."""

from __future__ import annotations

import logging

import pytest

from django_loco.core.job import Job
from django_loco.exceptions import QueueRefused
from django_loco.metrics import writer as writer_module
from django_loco.metrics.tally import Tally
from django_loco.metrics.writer import WRITE_SECONDS, MinuteWriter
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.timeouts import current_store_timeout

from ..worker.support import Clock


class NotedQueue(MemoryQueue):
    """Notes what it is told to record, and how long it may take; raises on demand."""

    def __init__(self) -> None:
        super().__init__("default", {})
        self.writes: list[int] = []
        self.timeouts: list[float] = []
        self.error: Exception | None = None

    def record(self, minutes) -> None:
        self.timeouts.append(current_store_timeout())
        if self.error:
            raise self.error
        self.writes.append(sum(each.runs for each in minutes))
        super().record(minutes)


@pytest.fixture
def queue(monkeypatch) -> NotedQueue:
    monkeypatch.setattr(writer_module, "_refusing", set())
    return NotedQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def writer(queue, tally, clock) -> MinuteWriter:
    return MinuteWriter(queue, tally, clock)


def count(tally: Tally, runs: int = 1) -> None:
    tally.lost([Job(task_path="shop.send", backend="default")] * runs)


def test_it_writes_once_a_minute(queue, tally, writer, clock):
    for _ in range(180):
        count(tally)
        clock.now += 1
        writer.write_if_due()
    assert queue.writes == [60, 60, 60]
    assert set(queue.timeouts) == {WRITE_SECONDS}
    assert sum(each.runs for each in queue.minutes(0)) == 180


def test_nothing_is_written_if_nothing_has_ended(queue, writer, clock):
    clock.now += 61
    writer.write_if_due()
    writer.write()
    assert queue.timeouts == []


@pytest.mark.parametrize("error", [QueueRefused("no"), RuntimeError("a queue of a project")], ids=["ours", "any"])
def test_what_is_refused_is_lost_and_logged_once(queue, tally, writer, caplog, error):
    caplog.set_level(logging.WARNING)
    queue.error = error
    for _ in range(3):
        count(tally)
        writer.write()
    [record] = caplog.records
    assert record.getMessage() == (
        "TASKS['default']: the statistics of up to a minute could not be stored and are lost; jobs are not affected: "
        f"{error}"
    )
    queue.error = None
    count(tally, 5)
    writer.write()
    assert queue.writes == [5]
    queue.error = error
    count(tally)
    writer.write()
    assert len(caplog.records) == 2
