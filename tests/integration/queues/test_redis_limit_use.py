"""How the limits of many keys are read from Redis: part by part."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.core.job import Job, Outcome, utcnow
from django_loco.core.job.limits import Limit
from django_loco.queues import Claim
from django_loco.queues.redis import RedisQueue

KEYS = 700
LIMITS = {"customer": Limit(rate="1/h")}
CLAIM = Claim(worker_id="w", lease=60, threads=2 * KEYS, coroutines=0, limits=LIMITS)
#: The most levels, and about the most times, that one part has.
LEVELS, TIMES = 150, 300


@pytest.fixture
def queue(redis_server):
    queue = RedisQueue("default", {"url": redis_server.url})
    queue.clear()
    yield queue
    queue.clear()
    queue.close()


@pytest.fixture
def parts(queue, monkeypatch):
    """The answers of the script, in the order in which they came."""
    answers = []
    run = queue.server.run

    def recorded(name, *given):
        answer = run(name, *given)
        if name == "limit_use":
            answers.append(answer)
        return answer

    monkeypatch.setattr(queue.server, "run", recorded)
    return answers


def jobs_of(number, **given):
    """Return so many jobs of each key; the keys sort in another order than they are made."""
    return [
        Job(task_path="shop.tasks.send", backend="default", limit_key=f"customer:{key * 37 % KEYS}", **given)
        for key in range(KEYS)
        for _ in range(number)
    ]


def test_all_keys_are_read_and_no_part_is_long(queue, parts):
    queue.enqueue(jobs_of(2))
    queue.enqueue(jobs_of(1, priority=5, tags=("a",)))
    taken = queue.fetch(CLAIM)
    assert len(taken) == KEYS
    keys = {f"customer:{key}" for key in range(KEYS)}
    use = queue.limit_use()
    assert use.running == dict.fromkeys(keys, 1)
    assert use.waiting == dict.fromkeys(keys, 2)
    assert use.times.keys() == use.oldest.keys() == keys
    assert all(times.tat > use.now and times.closed_until == 0 for times in use.times.values())
    assert all(abs(due.timestamp() * 1e6 - use.now) < 60e6 for due in use.oldest.values())
    assert len(parts) > KEYS // LEVELS
    for _, running, levels, tats, closings, *_ in parts:
        assert len(levels) <= 3 * LEVELS
        assert len(tats) <= 4 * TIMES
        assert len(closings) <= 4 * TIMES
        assert running == [] or len(running) == KEYS


def test_keys_that_were_closed_and_one_that_is_asked_for(queue, parts):
    queue.enqueue(jobs_of(1)[:3])
    closed, other, third = queue.fetch(CLAIM)
    outcome = Outcome.released(closed, run_after=utcnow())
    queue.finish([replace(outcome, closes=(closed.limit_key,), closed_for=600.0)])
    [use, one] = queue.limit_use(), queue.limit_use([closed.limit_key])
    assert use.running == one.running == {other.limit_key: 1, third.limit_key: 1}
    assert use.waiting == {closed.limit_key: 1}
    assert one.waiting == {}
    assert use.times.keys() == {closed.limit_key, other.limit_key, third.limit_key}
    assert one.times == {closed.limit_key: use.times[closed.limit_key]}
    assert 0 < one.times[closed.limit_key].closed_until - one.now <= 600e6
    assert len(parts) == 2


def test_nothing_is_read_of_an_empty_store(queue, parts):
    assert not any(queue.limit_use()[1:])
    assert len(parts) == 1


def test_places_that_somebody_has_written_are_passed_over(queue):
    queue.enqueue(jobs_of(1)[:2])
    key = queue.server.key("ready")
    for place in ("4", "5garbage", "6\r", '7"q"\r500', '7"q"\vk\r500soon', b'7"q"\vk\r501\xff\xff', "zzz", b"\xff\xff"):
        queue.server.ask("ZADD", key, 0, place)
    assert queue.limit_use().waiting == {"customer:0": 1, "customer:37": 1}
