"""The store timeout and Django's pool of connections, with a pool of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from django_loco.queues.database.postgres import timeouts
from django_loco.queues.database.postgres.timeouts import apply
from django_loco.queues.timeouts import store_timeout


class PooledConnection:
    """A connection to nothing."""

    wait = None


class Pool:
    """Has connections to nothing, and notes how long somebody is ready to wait for one."""

    timeout = 30.0

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.connections: list[PooledConnection] = []
        self.discarded: list[PooledConnection] = []

    def getconn(self, timeout: float) -> Any:
        self.waits.append(timeout)
        return self.connections.pop() if self.connections else PooledConnection()

    def putconn(self, connection: PooledConnection) -> None:
        self.discarded.append(connection)


class PooledWrapper:
    """A connection in Django that is taken from a pool."""

    connection = None

    def __init__(self) -> None:
        self.pool: Any = Pool()

    def get_new_connection(self, parameters: dict[str, Any]) -> Any:
        return self.pool.getconn()

    def close_if_health_check_failed(self) -> None:
        """Is Django's own check."""


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[PooledConnection]:
    """Connections that the server has cut."""
    connections: list[PooledConnection] = []
    monkeypatch.setattr(timeouts, "is_cut", lambda connection: connection in connections)
    return connections


def test_a_thread_waits_for_the_pool_no_longer_than_its_store_timeout(cut):
    wrapper = PooledWrapper()
    apply(wrapper)
    with store_timeout(5):
        wrapper.get_new_connection({})
        wrapper.pool.getconn(timeout=1.0)
    wrapper.get_new_connection({})
    assert wrapper.pool.waits == [5, 1.0, 30.0]


def test_those_that_were_cut_in_the_pool_are_discarded(cut):
    wrapper = PooledWrapper()
    apply(wrapper)
    good, *others = wrapper.pool.connections = [PooledConnection() for _ in range(3)]
    cut += others
    with store_timeout(5):
        assert wrapper.get_new_connection({}) is good
    assert wrapper.pool.discarded == others[::-1]
