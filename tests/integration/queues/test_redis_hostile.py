"""What others have written, names without number, times beyond the calendar: nothing is lost, held up or piled up."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from unittest.mock import Mock

import pytest

from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.redis import RedisQueue
from django_loco.tasks.results import result_of

CLAIM = Claim(worker_id="w1", lease=60, threads=10, coroutines=10)
OURS: list[Any] = ["tests.app.tasks.add", "[[],{}]", "default", 0, False, None, 0, [], {}, None]
STATE: list[Any] = ["READY", None, None, None, None, [], [], 0, None, None]


@pytest.fixture
def queue(redis_server) -> RedisQueue:
    queue = RedisQueue("default", {"url": redis_server.url, "prefix": "hostile"})
    for key in queue.server.client.scan_iter(queue.server.key("*")):
        queue.server.client.delete(key)
    return queue


@pytest.fixture
def client(queue):
    return queue.server.client


def job(**given) -> Job:
    return Job(**{"task_path": "tests.app.tasks.add", "backend": "default"} | given)


def statuses(queue):
    return {status: count for (_, status), count in queue.counts().items()}


def done(one: Job) -> Outcome:
    return Outcome(job=one, status=SUCCESSFUL, return_value="1")


def spoilt(at, value, values=OURS):
    return json.dumps([*values[:at], value, *values[at + 1 :]])


def write(queue, key, one, text):
    name = queue.server.key(key)
    if text is None:
        queue.server.client.hdel(name, one.id)
    else:
        queue.server.client.hset(name, one.id, text)


WRONG: list[Any] = [None, [], 1, "high", "yes", "now", 10**30, 0, [], 1]
NOT_OURS = [
    *[("jobs", None), ("jobs", ""), ("jobs", "no JSON"), ("jobs", b"\xff\xfe"), ("jobs", "{}"), ("jobs", "[]")],
    *[("jobs", "7"), ("jobs", "[" * 100_000), ("jobs", json.dumps([*OURS, None])), ("jobs", "a\nb\nc")],
    *[("jobs", spoilt(at, value)) for at, value in enumerate(WRONG)],
    *[("jobs", spoilt(7, [["a"]])), ("states", "no JSON"), ("states", "[]")],
    *[("states", spoilt(at, value, STATE)) for at, value in ((0, "GONE"), (1, "now"), (5, 0), (6, [1]), (7, "0"))],
    *[("states", spoilt(at, value, STATE)) for at, value in ((5, [-7]), (5, [None]), (6, [[None, 1]]))],
]


@pytest.mark.parametrize(("key", "text"), NOT_OURS, ids=[f"{key} {text!s:.40}" for key, text in NOT_OURS])
def test_a_job_that_cannot_be_read_fails_and_holds_up_nobody(queue, caplog, key, text):
    bad, good = job(), job(is_async=True)
    queue.enqueue([bad, good])
    write(queue, key, bad, text)
    assert [one.id for one in queue.list_calls()] == [one.id for one in queue.list()]
    with caplog.at_level(logging.ERROR, "django_loco.queues"):
        assert [one.id for one in queue.fetch(CLAIM)] == [good.id]
    assert f"Job {bad.id} of TASKS['default'] fails" in caplog.text
    assert statuses(queue) == {FAILED: 1, RUNNING: 1}
    [failed] = queue.list(status=FAILED)
    assert queue.get(bad.id) == failed
    assert "cannot be read as it is stored in Redis" in failed.errors[-1].traceback
    assert result_of(failed).status == FAILED
    assert queue.prune(older_than=-1) == 1
    assert queue.get(bad.id) is None
    assert statuses(queue) == {RUNNING: 1}


def test_the_error_of_a_job_whose_text_is_gone_names_the_cause(queue):
    bad = job()
    queue.enqueue([bad])
    queue.server.client.delete(queue.server.key("jobs"))
    queue.fetch(CLAIM)
    said = queue.get(bad.id).errors[-1].traceback
    assert said.endswith("in Redis: its text is gone; Redis may have evicted it (maxmemory-policy)\n")


def test_so_does_one_of_which_nothing_can_be_read_and_that_seems_to_have_ended(queue):
    bad, good = job(), job()
    queue.enqueue([bad, good])
    write(queue, "jobs", bad, "no JSON")
    write(queue, "states", bad, spoilt(0, "FAILED", STATE))
    assert [one.id for one in queue.fetch(CLAIM)] == [good.id]
    assert queue.get(bad.id).errors


@pytest.mark.parametrize("text", [None, "no JSON"])
def test_so_does_one_that_is_spoilt_while_it_is_held(queue, text):
    jobs = [job() for _ in range(3)]
    queue.enqueue(jobs)
    queue.fetch(replace(CLAIM, lease=0))
    write(queue, "jobs", jobs[1], text)
    assert {one.id: one.lost for one in queue.rescue()} == {jobs[0].id: 1, jobs[2].id: 1}
    assert statuses(queue) == {FAILED: 1, READY: 2}
    assert {one.id for one in queue.fetch(CLAIM)} == {jobs[0].id, jobs[2].id}
    assert statuses(queue) == {FAILED: 1, RUNNING: 2}


def test_json_in_several_lines_is_json(queue, client):
    one = job()
    queue.enqueue([one])
    write(queue, "jobs", one, json.dumps([*OURS[:1], "[[1, 2],{}]", *OURS[2:]], indent=2))
    [fetched] = queue.fetch(CLAIM)
    assert (fetched.id, fetched.arguments) == (one.id, "[[1, 2],{}]")


def test_places_that_are_none_are_left_where_they_are(queue, client):
    client.zadd(queue.server.key("ready"), {"0": 0, "0garbage": 0, "2": 0})
    jobs = [job(tags=("x",)), job(), job(queue_name="other")]
    queue.enqueue(jobs)
    assert [one.id for one in queue.fetch(CLAIM)] == [one.id for one in jobs]


@pytest.mark.parametrize("year", [1, 1900, 1960, 1969])
def test_a_time_before_1970_is_a_time(queue, year):
    early, late = job(run_after=datetime(year, 1, 1, tzinfo=UTC)), job()
    queue.enqueue([late, early])
    assert queue.oldest_due() == max(early.run_after, datetime(1970, 1, 1, tzinfo=UTC))
    fetched = queue.fetch(CLAIM)
    assert [one.id for one in fetched] == [early.id, late.id]
    assert fetched[0].run_after == early.run_after
    assert queue.finish([done(one) for one in fetched]) == set()


def test_so_is_one_that_nobody_will_see(queue):
    far = job(run_after=datetime(9999, 12, 31, tzinfo=UTC))
    queue.enqueue([far])
    assert queue.fetch(CLAIM) == []
    assert queue.list() == [far]


def test_a_tag_for_each_customer_slows_nobody_down(queue, client):
    jobs = [job(tags=(f"customer {number}",)) for number in range(10_000)]
    queue.enqueue(jobs)
    client.config_resetstat()
    assert [one.id for one in queue.fetch(CLAIM)] == [one.id for one in jobs[:10]]
    [one] = queue.fetch(replace(CLAIM, tags=("customer 77",)))
    assert one.id == jobs[77].id
    assert queue.fetch(replace(CLAIM, tags=())) == []
    assert queue.oldest_due() == jobs[10].enqueued_at
    looks = client.info("commandstats")["cmdstat_zrangebylex"]["calls"]
    assert looks < 30


def test_many_tags_in_many_queues_slow_nobody_down(queue, client):
    names, tags = (tuple(f"{letter}{number}" for number in range(most)) for letter, most in (("q", 60), ("t", 50)))
    jobs = [job(queue_name=names[number % 60], tags=(tags[number // 60],)) for number in range(3_000)]
    queue.enqueue(jobs)
    for given in ({"tags": tags}, {"tags": tags, "queues": names}, {"tags": tags[10:], "queues": names[5:]}):
        client.config_resetstat()
        fetched = queue.fetch(replace(CLAIM, **given))
        assert client.info("commandstats")["cmdstat_zrangebylex"]["calls"] < 400, given
        accepted = (
            one for one in jobs if one.tags[0] in given["tags"] and one.queue_name in given.get("queues", names)
        )
        assert [one.id for one in fetched] == [one.id for one in islice(accepted, 10)]
        queue.finish([Outcome.released(one) for one in fetched])


def test_tags_are_found_behind_many_others(queue):
    others = [job(tags=("other",), queue_name=name, priority=5) for name in "ab" for _ in range(100)]
    wanted = [job(tags=tags, queue_name=name) for name in "ba" for tags in (("x",), ("y", "x"), ("other", "y"))]
    queue.enqueue([*others, *wanted])
    fetched = queue.fetch(replace(CLAIM, tags=("x", "y"), threads=4))
    fetched += queue.fetch(replace(CLAIM, tags=("y", "x", "z")))
    assert [one.id for one in fetched] == [one.id for one in wanted]


def test_a_job_with_several_tags_is_handed_over_once(queue, client):
    jobs = [job(tags=("x", "y", "x", f"z{number}")) for number in range(20)]
    queue.enqueue(jobs)
    first = queue.fetch(replace(CLAIM, tags=("x", "y", "z0"), threads=15))
    assert [one.id for one in first] == [one.id for one in jobs[:15]]
    queue.finish([Outcome.released(first[3])])
    rest = queue.fetch(replace(CLAIM, tags=("y", "x")))
    assert [one.id for one in rest] == [jobs[3].id, *[one.id for one in jobs[15:]]]
    assert client.exists(queue.server.key("tagged")) == 0


def test_tags_are_in_order_across_queues(queue):
    jobs = [
        job(tags=(tag,), queue_name=name, priority=priority)
        for priority in (5, 0)
        for tag in ("x", "y")
        for name in ("b", "a")
    ]
    queue.enqueue(jobs[::-1])
    claim = replace(CLAIM, tags=("y", "x"))
    expected = sorted(jobs, key=lambda one: (-one.priority, one.due_at, one.id))
    assert [one.id for one in queue.fetch(replace(claim, threads=3))] == [one.id for one in expected[:3]]
    of_a = [one for one in expected[3:] if one.queue_name == "a"]
    assert [one.id for one in queue.fetch(replace(claim, queues=("a",)))] == [one.id for one in of_a]


def test_nothing_stays_of_what_is_over(queue, client):
    for number in range(50):
        queue.enqueue([job(tags=(f"t{number}",), queue_name=f"q{number}", key=f"k{number}")])
        [held] = queue.fetch(replace(CLAIM, worker_id=f"dead {number}", lease=1))
        queue.finish([done(held)])
    while queue.prune(older_than=-1):
        pass
    left = {key.decode(): client.pttl(key) for key in client.scan_iter(queue.server.key("*"))}
    forgotten_later = left.pop(queue.server.key("once"))
    assert forgotten_later == -1
    assert all(0 < milliseconds <= 61_000 for milliseconds in left.values()), left


def test_once_keys_are_forgotten_as_fast_as_they_come(queue, client, monkeypatch):
    monkeypatch.setattr("django_loco.queues.redis.queue.KEY_MEMORY_SECONDS", -1)
    queue.enqueue([job(key=f"k{number}") for number in range(2_500)])
    queue.finish([done(one) for one in queue.fetch(replace(CLAIM, threads=2_500))])
    while queue.prune(older_than=-1):
        pass
    assert client.exists(queue.server.key("once")) == 0


def test_a_fetch_whose_reply_came_after_its_leases_is_answered_again(queue, client):
    """As when the server hung for longer than a lease: nobody died, and nothing has run."""
    queue.enqueue([job()])
    lost = queue._claim_payload(replace(CLAIM, lease=0))
    [held] = queue.fetch(replace(CLAIM, lease=0))
    queue._local.nonce = lost[0]  # the reply never came
    assert queue.fetch(CLAIM) == [held]
    assert queue.rescue() == []
    assert queue.finish([done(held)]) == set()


def test_an_exchange_whose_outcomes_are_in_doubt_drops_no_jobs(queue, monkeypatch):
    """A job was woken while it ended, and the second call that stores this fails: the first one has fetched."""
    queue.enqueue([job()])
    [held] = queue.fetch(CLAIM)
    queue.signal(held, "{}")
    [waiting] = queue.enqueue([job()])
    with monkeypatch.context() as broken:
        broken.setattr(queue, "finish", Mock(side_effect=QueueUnavailable("No answer.")))
        with pytest.raises(QueueUnavailable):
            queue.exchange([Outcome(job=held, status=READY, run_after=utcnow(), waits=True)], CLAIM, Mock())
    assert [one.id for one in queue.fetch(CLAIM)] == [waiting.id]
    assert queue.fetch(CLAIM) == []


def test_deferred_jobs_with_tags_become_ready_with_them(queue):
    after = utcnow() + timedelta(milliseconds=50)
    one = job(tags=("x",), run_after=after)
    queue.enqueue([one])
    claim = replace(CLAIM, tags=("x",))
    while not (found := queue.fetch(claim)):
        assert utcnow() < after + timedelta(seconds=5)
    assert [other.id for other in found] == [one.id]
    assert statuses(queue) == {RUNNING: 1}
    queue.finish([Outcome(job=found[0], status=READY, run_after=utcnow())])
    assert len(queue.fetch(claim)) == 1
