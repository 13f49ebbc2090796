"""Threads that take turns until they are ended."""

from __future__ import annotations

import pytest

from django_loco.exceptions import QueueUnavailable
from django_loco.worker.queue_thread import QueueThread

from .support import Clock, TroubledQueue, wait_until


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Counting(QueueThread):
    name = "counting"
    duty = "count"

    def __init__(self, queue: TroubledQueue) -> None:
        super().__init__(queue)
        self.turns = 0
        self.trouble: Exception | None = None

    def turn(self) -> float:
        self.turns += 1
        if self.trouble:
            raise self.trouble
        return 0.001


def test_it_takes_turn_after_turn(queue):
    thread = Counting(queue)
    assert thread.join(0)
    thread.start()
    wait_until(lambda: thread.turns > 3)
    assert thread.is_alive
    thread.end()
    assert thread.join(5)
    assert queue.closed.is_set()


def test_no_error_ends_it(queue, caplog):
    thread = Counting(queue)
    thread.trouble = ZeroDivisionError("oops")
    thread.start()
    wait_until(lambda: thread.turns >= 3)
    assert thread.is_alive
    thread.trouble = None
    before = thread.turns
    wait_until(lambda: thread.turns > before + 3)
    thread.end()
    assert thread.join(5)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "The worker cannot count for now: oops"
    ]


def test_a_turn_that_asked_nothing_does_not_end_an_outage(queue, caplog):
    caplog.set_level("INFO")
    thread = Counting(queue)
    thread.trouble = queue.troubles["renew"] = QueueUnavailable("away")
    thread.start()
    wait_until(lambda: thread.turns >= 2)
    thread.trouble = None
    wait_until(lambda: queue.calls["renew"] >= 3)
    assert "again" not in caplog.text
    assert thread.backoff.reason
    queue.troubles.clear()
    wait_until(lambda: "The worker can count again" in caplog.text)
    asked = queue.calls["renew"]
    before = thread.turns
    wait_until(lambda: thread.turns > before + 3)
    thread.end()
    assert thread.join(5)
    assert queue.calls["renew"] == asked


# Heartbeat


# Upkeep


# Waker
