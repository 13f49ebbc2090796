"""The store timeout and Django's pool of connections, with a pool of the test's own."""

from __future__ import annotations

import math
from typing import Any

import pytest

from django_loco.queues.database.postgres.timeouts import apply
from django_loco.queues.timeouts import return_to_pool, store_timeout


class Pool:
    """Has connections to nothing, and notes how long somebody is ready to wait for one."""

    timeout = 30.0

    def __init__(self) -> None:
        self.waits: list[float] = []

    def getconn(self, timeout: float) -> Any:
        self.waits.append(timeout)
        return type("Connection", (), {"wait": None})()


class PooledWrapper:
    """A connection in Django that is taken from a pool."""

    in_atomic_block = False

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self.settings_dict = {"OPTIONS": {"pool": True} if options is None else options}
        self.pool: Any = Pool() if self.settings_dict["OPTIONS"] else None
        self.connection = None
        self.closes = 0

    def get_new_connection(self, parameters: dict[str, Any]) -> Any:
        return self.pool.getconn()

    def close(self) -> None:
        self.closes += 1


def test_a_thread_waits_for_the_pool_no_longer_than_its_store_timeout():
    wrapper = PooledWrapper()
    apply(wrapper)
    with store_timeout(5):
        wrapper.get_new_connection({})
        wrapper.pool.getconn(timeout=1.0)
    wrapper.get_new_connection({})
    assert wrapper.pool.waits == [5, 1.0, 30.0]


@pytest.mark.parametrize(
    ("seconds", "wrapper", "closes"),
    [
        (10, PooledWrapper(), 1),
        (math.inf, PooledWrapper(), 0),  # of a thread that runs code of the project
        (10, PooledWrapper({}), 0),
    ],
)
def test_who_gives_a_connection_back(seconds, wrapper, closes):
    with store_timeout(seconds):
        return_to_pool(wrapper)
    assert wrapper.closes == closes


def test_nobody_gives_a_connection_back_in_a_transaction():
    wrapper = PooledWrapper()
    wrapper.in_atomic_block = True
    with store_timeout():
        return_to_pool(wrapper)
    assert wrapper.closes == 0
