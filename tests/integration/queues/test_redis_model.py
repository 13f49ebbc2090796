"""Whatever is done to it in whatever order, a Redis queue is what a memory queue is, and its keys agree."""

from __future__ import annotations

from collections import Counter

import pytest

from django_loco.queues.memory import MemoryQueue
from django_loco.queues.redis import RedisQueue

from .twins import Twins


def check_keys(queue: RedisQueue, memory: MemoryQueue) -> None:
    client = queue.server.client
    totals: Counter[str] = Counter()
    for (_, status), number in queue.counts().items():
        totals[status.value] += number
    sizes = {
        name: (client.hlen if name in ("jobs", "states", "held") else client.zcard)(queue.server.key(name))
        for name in (
            "jobs",
            "index",
            "held",
            "leases",
            "ready",
            "tagged",
            "deferred",
            "finished",
            "failed",
            "series",
        )
    }
    assert sizes["jobs"] == sizes["index"] == totals.total()
    assert sizes["series"] == len(memory._jobs.series) == sum(len(queue.series(name, 10_000)) for name in "ab")
    assert sizes["held"] == sizes["leases"] == totals["RUNNING"]
    assert sizes["ready"] + sizes["deferred"] == totals["READY"]
    ready = client.zrange(queue.server.key("ready"), 0, -1)
    assert sizes["tagged"] == sum(place.partition(b"\r")[2].count(b"\t") for place in ready)
    assert sizes["finished"] == totals["SUCCESSFUL"] + totals["FAILED"]
    assert sizes["failed"] == totals["FAILED"]


@pytest.mark.parametrize("seed", range(6))
def test_a_redis_queue_is_what_a_memory_queue_is(redis_server, seed):
    queue = RedisQueue("default", {"url": redis_server.url})
    twins = Twins(queue, seed)
    twins.run()
    check_keys(queue, twins.memory)
