from __future__ import annotations

import os
import pickle
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from django_loco.management.imports.foreign_schedules import Unconvertible
from django_loco.management.imports.rq_scheduler import _name, _seconds, _unpickled, _when

PLAIN = ("shop.tasks.send", None, (1, 2.5, "a", b"b", None, True, [1], {"a": (1,)}), {"x": {1, 2}})
DUE = datetime(2030, 1, 2, tzinfo=UTC)


class Hostile:
    """Runs a command when it is unpickled in the usual way."""

    def __reduce__(self) -> Any:
        return os.system, ("exit 3",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read(protocol: int):
    if protocol < 3:  # sets and bytes are calls there
        plain: Any = (*PLAIN[:2], (1, 2.5, "a", None, True, [1], {"a": (1,)}), {})
    else:
        plain = (*PLAIN[:3], {} if protocol < 4 else PLAIN[3])
    for data in (pickle.dumps(plain, protocol), zlib.compress(pickle.dumps(plain, protocol))):
        assert _unpickled(data) == plain


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [Hostile(), os.system, datetime.now(UTC), Exception()])
def test_nothing_is_called(protocol: int, value: Any):
    with pytest.raises(Unconvertible, match="which is not JSON"):
        _unpickled(pickle.dumps(("shop.tasks.send", None, (value,), {}), protocol))


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x05", zlib.compress(b"x"), b"cos\nsystem\n(S'exit 3'\ntR."])
def test_broken_data_is_a_reason(data: bytes):
    with pytest.raises(Unconvertible):
        _unpickled(data)


def test_when_it_runs():
    assert _when({"cron_string": "0 3 * * *"}, DUE) == {"schedule": "0 3 * * *", "timezone": "UTC"}
    assert _when({"cron_string": "0 3 * * *", "use_local_timezone": True}, DUE) == {
        "schedule": "0 3 * * *",
        "timezone": "",
    }
    assert _when({"interval": "60"}, DUE) == {"schedule": "every 60 seconds"}
    assert _when({}, DUE) == {"at": DUE}


def test_time_limits_and_names():
    assert [_seconds(text) for text in (None, b"", b"-1", b"180", b"1h")] == [None, None, None, 180.0, None]
    assert _name("nightly", "shop.tasks.send") == "nightly"
    assert _name("0190d3f2-0000-7000-8000-000000000000", "shop.tasks.send") == "shop.tasks.send 0190d3f2"
