"""Statistics in Redis: they expire, and a batch whose answer was lost counts once."""

from __future__ import annotations

import time

import pytest

from django_loco.queues.records.minutes import KEPT_MINUTES, NUMBERS, Labels, Minute, minute_of
from django_loco.queues.redis import RedisQueue

from .test_redis_replies import Line

NOW = minute_of(time.time())


@pytest.fixture
def queue(redis_server) -> RedisQueue:
    queue = RedisQueue("default", {"url": redis_server.url})
    queue.clear()
    return queue


def minute(number: int = NOW, runs: int = 1) -> Minute:
    return Minute(Labels(number, "default", "shop.send", "failed"), (runs, *[0] * (len(NUMBERS) - 1)))


@pytest.mark.parametrize("sends_twice", [False, True], ids=["sent again by us", "by the client"])
def test_a_batch_that_is_sent_twice_counts_once(queue, sends_twice):
    line = queue.server.client = Line(queue.server.client)
    line.sends_twice, line.breaks = sends_twice, not sends_twice
    queue.record([minute(), minute(NOW + 1)])
    assert line.scripts == 1 + (not sends_twice)
    line.sends_twice = False
    assert queue.minutes(0) == [minute(), minute(NOW + 1)]


def test_large_sums_are_exact(queue):
    large = 2**52
    for more in (large - 1, 3):
        queue.record([minute(runs=more)])
    assert queue.minutes(0)[0].runs == large + 2


def test_minutes_expire_by_themselves(queue):
    queue.record([minute()])
    client = queue.server.client
    rest = client.pttl(queue.server.key(f"minute:{NOW}")) / 60_000
    assert KEPT_MINUTES - 600 < rest <= KEPT_MINUTES + 1  # the tests may take hours
    assert 0 < client.pttl(client.keys("*:answer:minutes:*")[0]) <= 60_000


def test_nothing_accumulates(queue):
    old = NOW - KEPT_MINUTES - 2
    queue.record([minute(old), minute()])
    assert queue.server.client.zcard(queue.server.key("minutes")) == 1
    assert not queue.server.client.exists(queue.server.key(f"minute:{old}"))


def test_clear_deletes_every_minute(queue):
    keys = [queue.server.key(f"minute:{NOW + number}") for number in range(5)]
    queue.record([minute(NOW + number) for number in range(5)])
    assert queue.server.client.exists(*keys) == 5
    queue.clear()
    assert queue.server.client.exists(*keys) == 0
