"""The store timeout and Django's pool of connections, with a pool of the test's own."""

from __future__ import annotations

from typing import Any

from django_loco.queues.database.postgres.timeouts import apply
from django_loco.queues.timeouts import store_timeout


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

    connection = None

    def __init__(self) -> None:
        self.pool: Any = Pool()

    def get_new_connection(self, parameters: dict[str, Any]) -> Any:
        return self.pool.getconn()


def test_a_thread_waits_for_the_pool_no_longer_than_its_store_timeout():
    wrapper = PooledWrapper()
    apply(wrapper)
    with store_timeout(5):
        wrapper.get_new_connection({})
        wrapper.pool.getconn(timeout=1.0)
    wrapper.get_new_connection({})
    assert wrapper.pool.waits == [5, 1.0, 30.0]
