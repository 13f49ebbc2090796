"""The store timeout of connections that it cannot or need not limit, and connections of a pool."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest

from django_loco.queues.timeouts import apply_store_timeout, return_to_pool, store_timeout


class Wrapper:
    """A connection in Django."""

    vendor = "postgresql"
    Database = ModuleType("psycopg2")

    def __init__(self, options: dict[str, Any], *, in_atomic_block: bool = False) -> None:
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
