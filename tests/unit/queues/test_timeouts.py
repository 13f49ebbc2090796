"""The store timeout of connections that it cannot or need not limit, and connections of a pool."""

from __future__ import annotations

import math
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from django_loco.queues import timeouts
from django_loco.queues.timeouts import apply_store_timeout, return_to_pool, set_store_timeout, store_timeout


class Wrapper:
    """A connection in Django."""

    vendor = "postgresql"

    def __init__(self, options: dict[str, Any], *, in_atomic_block: bool = False, driver: str = "psycopg2") -> None:
        self.Database = ModuleType(driver)
        self.settings_dict = {"OPTIONS": options}
        self.in_atomic_block = in_atomic_block
        self.closes = 0

    def close(self) -> None:
        self.closes += 1


def test_a_connection_of_an_older_driver_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr("django_loco.queues.timeouts.import_string", pytest.fail)
    wrapper: Any = Wrapper({})
    with store_timeout():
        assert apply_store_timeout(wrapper) is wrapper


@pytest.mark.parametrize(
    ("seconds", "wrapper", "closes"),
    [
        (10, Wrapper({"pool": True}), 1),
        (math.inf, Wrapper({"pool": True}), 0),  # of a thread that runs code of the project
        (10, Wrapper({"pool": True}, in_atomic_block=True), 0),
        (10, Wrapper({}), 0),
    ],
)
def test_who_gives_a_connection_back(seconds, wrapper, closes):
    with store_timeout(seconds):
        return_to_pool(wrapper)
    assert wrapper.closes == closes


@pytest.fixture
def own_thread(monkeypatch):
    monkeypatch.setattr(timeouts, "_thread", SimpleNamespace())
    monkeypatch.setattr(timeouts, "import_string", lambda path: lambda connection: None)


@pytest.mark.usefixtures("own_thread")
class TestAThreadOfAWorker:
    def test_has_connections_beside_the_pool(self):
        known = {"pool": True, "sslmode": "require"}
        wrapper: Any = Wrapper(known, driver="psycopg")
        set_store_timeout()
        apply_store_timeout(wrapper)
        apply_store_timeout(wrapper)
        assert wrapper.settings_dict == {"OPTIONS": {"pool": None, "sslmode": "require"}}
        assert wrapper.closes == 1  # a connection that it had from the pool goes back there
        assert known["pool"] is True  # other threads share these

    def test_leaves_the_pool_after_its_transaction(self):
        wrapper: Any = Wrapper({"pool": True}, driver="psycopg", in_atomic_block=True)
        set_store_timeout()
        apply_store_timeout(wrapper)
        assert (wrapper.settings_dict["OPTIONS"]["pool"], wrapper.closes) == (True, 0)
        wrapper.in_atomic_block = False
        apply_store_timeout(wrapper)
        assert wrapper.settings_dict["OPTIONS"]["pool"] is None

    def test_other_threads_with_a_limit_use_the_pool(self):
        wrapper: Any = Wrapper({"pool": True}, driver="psycopg")
        with store_timeout(1):
            apply_store_timeout(wrapper)
        assert wrapper.settings_dict["OPTIONS"]["pool"] is True
