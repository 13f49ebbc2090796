"""Changes of jobs in Redis: lost replies, once-keys, foreign words, entries elsewhere; and what a pause costs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError as ConnectionLost

from django_loco.core.job import FAILED, READY, SUCCESSFUL, SUSPECT, Job, Outcome, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.base import Change
from django_loco.queues.redis import RedisQueue

from .redis_keys import check_keys
from .test_redis_replies import Line

CLAIM = Claim(worker_id="w1", lease=60, threads=10, coroutines=10)


@pytest.fixture
def queue(redis_server) -> RedisQueue:
    queue = RedisQueue("default", {"url": redis_server.url, "prefix": "changes"})
    for key in queue.server.client.scan_iter(queue.server.key("*")):
        queue.server.client.delete(key)
    return queue


@pytest.fixture
def client(queue):
    return queue.server.client


@pytest.fixture
def line(queue) -> Line:
    line = queue.server.client = Line(queue.server.client)
    return line


def job(**given) -> Job:
    return Job(**{"task_path": "tests.app.tasks.add", "backend": "default"} | given)


def enqueued(queue, **given) -> Job:
    [one] = queue.enqueue([job(**given)])
    return one


def failed(queue, at=None, **given) -> Job:
    one = enqueued(queue, queue_name="failing", **given)
    [held] = queue.fetch(replace(CLAIM, queues=("failing",)))
    queue.finish([Outcome(job=held, status=FAILED, at=at or utcnow())])
    return stored(queue, one)


def stored(queue, one) -> Job:
    found = queue.get(one.id)
    assert found is not None
    return found


def change(queue, before, **fields) -> bool:
    """Change a job; return whether that was done."""
    return queue.change([Change(before=before, after=replace(before, **fields))]) == set()


def retry(queue, before, run_after=None) -> bool:
    return change(queue, before, status=READY, finished_at=None, run_after=run_after)


def cancel(queue, before) -> bool:
    return change(queue, before, status=FAILED, finished_at=utcnow())


def delete(queue, *jobs) -> set[str]:
    return queue.change([Change(before=one, after=None) for one in jobs])


def write(queue, key, one, text) -> None:
    queue.server.client.hset(queue.server.key(key), one.id, text)


def read(queue, key, one) -> str:
    return queue.server.client.hget(queue.server.key(key), one.id).decode()


def key_until(queue, key: str) -> float | None:
    """Return from when on a once-key is remembered, in seconds: forever while its job waits or runs."""
    score = queue.server.client.zscore(queue.server.key("once"), json.dumps(key))
    return None if score is None else score / 1e6


def counts(queue):
    return {status: count for (_, status), count in queue.counts().items()}


@pytest.mark.parametrize("act", [retry, cancel, lambda queue, one: not delete(queue, one)])
def test_a_change_whose_reply_was_lost_counts_as_made(queue, line, act):
    one = failed(queue)
    line.breaks = 1
    assert act(queue, one)
    line.sends_twice = True
    assert act(queue, enqueued(queue))


def test_a_change_whose_reply_never_came_is_not_made_twice(queue, line):
    one = stored(queue, enqueued(queue))
    line.breaks, line.error = 2, ConnectionLost
    with pytest.raises(QueueUnavailable):
        cancel(queue, one)
    assert not cancel(queue, one)
    assert counts(queue) == {FAILED: 1}
    check_keys(queue, 0)


def test_a_change_is_one_script(queue, line):
    jobs = [stored(queue, failed(queue)) for _ in range(3)]
    line.scripts = 0
    assert queue.change([Change(before=one, after=replace(one, priority=1)) for one in jobs]) == set()
    assert line.scripts == 1


def test_an_outcome_whose_reply_was_lost_does_not_undo_a_change(queue):
    enqueued(queue)
    [held] = queue.fetch(CLAIM)
    outcome = Outcome(job=held, status=FAILED)
    queue.finish([outcome])
    assert retry(queue, stored(queue, held))
    assert queue.finish([outcome]) == {held.id}
    assert counts(queue) == {READY: 1}


def test_the_key_of_a_job_that_runs_again_is_not_forgotten(queue):
    one = failed(queue, key="k", at=utcnow() - timedelta(days=1))
    assert retry(queue, one)
    assert key_until(queue, "k") == float("inf")
    assert queue.prune(older_than=0) == 0
    assert queue.enqueue([job(key="k")]) == []


def test_the_key_of_a_cancelled_or_deleted_job_is_remembered_for_an_hour(queue):
    cancelled, deleted = enqueued(queue, key="c"), enqueued(queue, key="d")
    long_ended = failed(queue, key="e", at=utcnow() - timedelta(days=1))
    before = utcnow().timestamp() - 1
    assert cancel(queue, stored(queue, cancelled))
    assert delete(queue, stored(queue, deleted), long_ended) == set()
    assert all(before < (key_until(queue, key) or 0) < before + 60 for key in "cde")
    queue.prune(older_than=-60)
    assert all(key_until(queue, key) for key in "cde")


def test_a_deleted_job_leaves_nothing_behind(queue, client):
    kinds: list[dict[str, Any]] = [
        {"key": "s@1"},
        {"tags": ("a", "b"), "is_async": True, "lost": SUSPECT},
        {"run_after": utcnow() + timedelta(hours=1)},
        {"metadata": '{"a":1}', "checkpoint": "1"},
    ]
    jobs = queue.enqueue([job(**kind) for kind in kinds])
    jobs += [failed(queue, key="s@2"), failed(queue)]
    assert delete(queue, *(stored(queue, one) for one in jobs)) == set()
    left = {key.decode().rpartition("}:")[2].partition(":")[0] for key in client.scan_iter(queue.server.key("*"))}
    assert left == {"once", "answer", "bell"}


def test_handed_back_retried_and_rescued_jobs_are_where_their_fields_say(queue):
    names = ("released", "released later", "retried", "rescued", "suspect")
    jobs = [enqueued(queue, tags=("x",), lost=SUSPECT - 1 if name == "suspect" else 0) for name in names]
    held = {one.id: one for one in queue.fetch(CLAIM)}
    released, later, retried, *expired = (held[one.id] for one in jobs)
    after = utcnow() + timedelta(hours=1)
    queue.finish(
        [
            Outcome.released(released),
            Outcome.released(later, run_after=after),
            Outcome(job=retried, status=READY, run_after=utcnow()),
        ]
    )
    queue.renew(expired, 0)
    assert len(queue.rescue()) == 2
    assert all(cancel(queue, stored(queue, one)) for one in jobs)
    check_keys(queue, 0)
    assert queue.fetch(CLAIM) == []


def in_other_words(text: str) -> str:
    return json.dumps(json.loads(text), indent=1)


def test_jobs_that_are_stored_in_other_words_can_be_changed(queue):
    waiting, ended = enqueued(queue, metadata='{"a":1}', tags=("ä",)), failed(queue)
    for one in (waiting, ended):
        write(queue, "jobs", one, in_other_words(read(queue, "jobs", one)))
    write(queue, "states", ended, in_other_words(read(queue, "states", ended)))
    write(queue, "extra", waiting, in_other_words(read(queue, "extra", waiting)))
    waiting, ended = (stored(queue, one) for one in (waiting, ended))
    assert change(queue, waiting, priority=5, run_after=utcnow() - timedelta(hours=1))
    assert stored(queue, waiting).priority == 5
    assert retry(queue, ended)
    assert stored(queue, ended).status == READY
    check_keys(queue, 0)


def test_so_can_one_with_a_state_that_it_does_not_need(queue):
    one = enqueued(queue)
    write(queue, "states", one, '["READY", null, null, null, null, [], [], 0, null, "token"]')
    after = utcnow() - timedelta(hours=1)
    assert change(queue, stored(queue, one), run_after=after)
    assert stored(queue, one).run_after == after


def test_fields_of_a_newer_release_stay(queue):
    one = enqueued(queue, metadata='{"a":1}')
    write(queue, "extra", one, '{"metadata": "{}", "of a newer release": 7}')
    assert change(queue, stored(queue, one), priority=5)
    assert "newer" in read(queue, "extra", one)


def test_an_edited_job_is_found_where_it_waits(queue):
    one = enqueued(queue, tags=("x",))
    write(queue, "jobs", one, read(queue, "jobs", one).replace('"default",0', '"other",7'))
    edited = stored(queue, one)
    assert edited.priority == 7
    assert cancel(queue, edited)
    assert queue.fetch(CLAIM) == []
    check_keys(queue, 0)


@pytest.mark.parametrize(("key", "text"), [("jobs", b"\xff\xfe\n"), ("jobs", "no JSON"), ("states", "[]")])
def test_a_job_that_cannot_be_read_can_be_deleted_but_not_changed(queue, key, text):
    jobs = [
        failed(queue, key="s@1"),
        enqueued(queue, tags=("x",), queue_name="odd"),
        enqueued(queue, run_after=utcnow() + timedelta(hours=1)),
    ]
    for one in jobs:
        write(queue, key, one, text)
    broken = [stored(queue, one) for one in jobs]
    assert not any(one.is_readable for one in broken)
    assert not any(change(queue, one, priority=1) for one in broken)
    assert delete(queue, *broken) == set()
    assert queue.list() == []
    assert queue.counts() == {}
    check_keys(queue, 0)


def test_a_job_without_its_text_can_be_deleted(queue, client):
    one = failed(queue)
    client.hdel(queue.server.key("jobs"), one.id)
    assert delete(queue, stored(queue, one)) == set()
    assert queue.counts() == {}
    assert client.exists(queue.server.key("states"), queue.server.key("finished")) == 0


def test_a_full_server_lets_people_cancel_and_delete(queue, client):
    waiting, ended, other = enqueued(queue, tags=("x",)), failed(queue), failed(queue)
    client.config_set("maxmemory", "1")
    try:
        assert cancel(queue, waiting)
        assert delete(queue, ended) == set()
        assert delete(queue, ended) == {ended.id}
        assert retry(queue, other)
    finally:
        client.config_set("maxmemory", "0")
    assert counts(queue) == {FAILED: 1, READY: 1}


def test_more_changes_than_one_script_makes(queue, monkeypatch):
    monkeypatch.setattr("django_loco.queues.redis.changes.BATCH", 7)
    jobs = [job() for _ in range(30)]
    queue.enqueue(jobs)
    cancel(queue, jobs[4])
    assert delete(queue, *jobs) == {jobs[4].id}
    assert counts(queue) == {FAILED: 1}


def test_a_paused_queue_costs_a_fetch_one_look_however_long_it_is(queue, client):
    queue.enqueue([job(queue_name="a", tags=("x",) if number % 2 else ()) for number in range(5_000)])
    other = enqueued(queue, queue_name="b")
    queue.pause("a")
    for claim in (CLAIM, replace(CLAIM, queues=("a", "b")), replace(CLAIM, tags=("x", "y"))):
        client.config_resetstat()
        found = queue.fetch(claim)
        assert client.info("commandstats")["cmdstat_zrangebylex"]["calls"] < 12
        assert [one.id for one in found] == ([] if claim.tags else [other.id])
        queue.finish([Outcome.released(one) for one in found])
    queue.resume("a")
    assert len(queue.fetch(CLAIM)) == 10


def test_suspects_of_a_paused_queue_wait_too(queue):
    claim = replace(CLAIM, suspects=True)
    one = enqueued(queue, lost=SUSPECT, queue_name="a")
    queue.pause("a")
    assert queue.suspects(claim) == 0
    assert queue.fetch(claim) == []
    queue.resume("a")
    assert queue.suspects(claim) == 1
    assert [found.id for found in queue.fetch(claim)] == [one.id]


def test_large_texts_are_looked_at_in_parts(queue, line, monkeypatch):
    monkeypatch.setattr("django_loco.queues.redis.lookups.STEP", 1_000)
    large = json.dumps([["x" * 30_000], {}])
    queue.enqueue([job(queue_name="ab"[number % 2], arguments=large) for number in range(1_200)])
    line.scripts = 0
    found = queue.list(queue_name="a", limit=5)
    assert ([one.queue_name for one in found], line.scripts) == (["a"] * 5, 1)
    last = queue.list(queue_name="a", before=found[-1].id)[-1]
    line.scripts = 0
    assert queue.list(queue_name="none") == []
    assert line.scripts == 0, "there are no such jobs"
    queue.enqueue([job(queue_name="none", id="0" * 32)])
    assert [one.id for one in queue.list(queue_name="none", before=last.id)] == ["0" * 32]
    assert line.scripts > 5


def test_ids_without_jobs_end_no_page(queue, client):
    jobs = [job(id=f"{number:032x}") for number in range(6)]
    queue.enqueue(jobs)
    client.hdel(queue.server.key("jobs"), jobs[4].id)
    assert [one.id for one in queue.list(limit=3)] == [jobs[5].id, jobs[3].id, jobs[2].id]


def test_a_name_that_can_be_written_in_several_ways_is_found(queue):
    one = enqueued(queue, queue_name="ä")
    write(queue, "jobs", one, json.dumps(json.loads(read(queue, "jobs", one)), ensure_ascii=False))
    assert [found.id for found in queue.list(queue_name="ä")] == [one.id]
    assert queue.list(queue_name="ö") == queue.list(queue_name="ä", status=SUCCESSFUL) == []
