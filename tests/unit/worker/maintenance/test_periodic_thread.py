"""Threads that take turns until they are ended."""

from __future__ import annotations

import pytest

from django_loco.worker.maintenance.periodic_thread import Role

from ..support import Clock, TroubledQueue, wait_until


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Counting(Role):
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


def test_a_role_takes_turn_after_turn(queue):
    role = Counting(queue)
    assert role.join(0)
    role.start()
    wait_until(lambda: role.turns > 3)
    assert role.is_alive
    role.end()
    assert role.join(5)
    assert queue.closed.is_set()


def test_no_error_ends_it(queue, caplog):
    role = Counting(queue)
    role.trouble = ZeroDivisionError("oops")
    role.start()
    wait_until(lambda: role.turns >= 3)
    assert role.is_alive
    role.trouble = None
    before = role.turns
    wait_until(lambda: role.turns > before + 3)
    role.end()
    assert role.join(5)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "The worker cannot count for now: oops"
    ]


# Heartbeat


# Upkeep


# Waker
