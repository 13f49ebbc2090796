"""What the keys of a Redis queue have in common, whatever has happened."""

from __future__ import annotations

from collections import Counter

from django_loco.queues.redis import RedisQueue


def check_keys(queue: RedisQueue, series: int) -> None:
    """Check the sizes of all keys; ``series``: how many jobs have a series."""
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
            "kept",
            "failed",
            "series",
        )
    }
    assert sizes["jobs"] == sizes["index"] == totals.total()
    assert sizes["series"] == series
    assert sizes["held"] == sizes["leases"] == totals["RUNNING"]
    assert sizes["ready"] + sizes["deferred"] == totals["READY"]
    ready = client.zrange(queue.server.key("ready"), 0, -1)
    assert sizes["tagged"] == sum(place.partition(b"\r")[2].count(b"\t") for place in ready)
    assert sizes["finished"] + sizes["kept"] == totals["SUCCESSFUL"] + totals["FAILED"]
    assert sizes["failed"] == totals["FAILED"]
