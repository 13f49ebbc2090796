"""Whatever is done to it in whatever order, a Redis queue is what a memory queue is, and its keys agree."""

from __future__ import annotations

import pytest

from django_loco.queues.redis import RedisQueue

from .redis_keys import check_keys
from .twins import HISTORIES, Twins


@pytest.mark.parametrize("step", [2_000, 7])
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_redis_queue_is_what_a_memory_queue_is(redis_server, seed, step, monkeypatch):
    """``step``: how many jobs a script looks at, so that it sees all of them at once or a part."""
    monkeypatch.setattr("django_loco.queues.redis.lookups.STEP", step)
    queue = RedisQueue("default", {"url": redis_server.url})
    twins = Twins(queue, seed)
    twins.run()
    series = sum(len(queue.series(name, 10_000)) for name in "ab")
    assert series == len(twins.memory._jobs.series)
    check_keys(queue, series)
