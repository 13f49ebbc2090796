"""When a connection breaks after the server has done what it was told: nothing is lost, nothing is doubled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import TimeoutError as TimedOut

from django_loco.core.job import FAILED, MAX_LOST, READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.redis import RedisQueue
from django_loco.queues.workers import worker_of_text

CLAIM = Claim(worker_id="w1", lease=60, threads=10, coroutines=10)


class Line:
    """In place of a client: the connection breaks after each of the next ``breaks`` scripts was run."""

    def __init__(self, client):
        self._client = client
        self.breaks = 0
        self.error: type[Exception] = ConnectionLost
        self.scripts = 0
        self.sends_twice = False
        """Whether each command is sent once more, as some clients do by themselves when a reply is lost."""

    def execute_command(self, *command, **options):
        answer = self._client.execute_command(*command, **options)
        if self.sends_twice:
            answer = self._client.execute_command(*command, **options)
        if command[0] in ("EVAL", "EVALSHA"):
            self.scripts += 1
            if self.breaks:
                self.breaks -= 1
                raise self.error("Connection closed by server.")
        return answer

    def __getattr__(self, name):
        return getattr(self._client, name)


@pytest.fixture
def queue(redis_server) -> RedisQueue:
    queue = RedisQueue("default", {"url": redis_server.url})
    queue.clear()
    return queue


@pytest.fixture
def line(queue) -> Line:
    line = queue.server.client = Line(queue.server.client)
    return line


def job(**given) -> Job:
    return Job(**{"task_path": "shop.tasks.send", "backend": "default"} | given)


def held(queue, count=1, **given) -> list[Job]:
    queue.enqueue([job(**given) for _ in range(count)])
    return queue.fetch(CLAIM)


def done(one: Job) -> Outcome:
    return Outcome(job=one, status=SUCCESSFUL, return_value="1")


def everything(queue):
    return {status: count for (_, status), count in queue.counts().items()}


@pytest.mark.parametrize("unique", [{}, {"unique_key": "5" * 64, "unique_until": "finished"}])
def test_a_simple_job_is_stored_as_the_script_for_all_jobs_would_store_it(queue, monkeypatch, unique):
    one = job(queue_name="mail", priority=7, options={"timeout": 5}, **unique)
    queue.server.client.delete("-", *contents(queue))  # channels of other tests, which expire
    queue.enqueue([one])
    stored = contents(queue)
    queue.server.client.delete(*stored)
    monkeypatch.setattr("django_loco.queues.redis.queue.short_payload", lambda job: None)
    queue.enqueue([one])
    assert stored == contents(queue)
    assert len(stored) == 4 + 3 + len(unique)


def contents(queue):
    """Return what the queue has in Redis, by key, except answers."""
    client = queue.server.client
    read = {b"hash": client.hgetall, b"zset": lambda name: client.zrange(name, 0, -1, withscores=True)}
    names = client.scan_iter(queue.server.key("*"))
    return {name: read[client.type(name)](name) for name in names if b":answer:" not in name}


@pytest.mark.parametrize("key", [None, "tick"])
def test_a_job_is_stored_once_when_the_connection_breaks(queue, line, key):
    line.breaks = 1
    one = job(key=key)
    assert queue.enqueue([one]) == [one]
    assert line.scripts == 2
    assert everything(queue) == {READY: 1}
    assert [found.id for found in queue.fetch(CLAIM)] == [one.id]
    assert queue.fetch(CLAIM) == []


def test_a_job_that_has_been_fetched_meanwhile_is_not_stored_anew(queue, line):
    line.breaks = 2
    one = job()
    with pytest.raises(QueueUnavailable, match="Connection closed"):
        queue.enqueue([one])
    [held_now] = queue.fetch(CLAIM)
    assert queue.enqueue([one]) == [one]
    assert queue.get(one.id) == held_now
    assert queue.fetch(CLAIM) == []


def test_a_deferred_job_is_stored_once(queue, line):
    line.breaks = 1
    one = job(run_after=utcnow().replace(year=2100))
    queue.enqueue([one])
    assert everything(queue) == {READY: 1}
    assert queue.list() == [one]


def test_a_fetch_is_answered_again(queue, line):
    queue.enqueue([job() for _ in range(3)])
    line.breaks = 1
    assert len(queue.fetch(replace(CLAIM, threads=2))) == 2
    assert everything(queue) == {READY: 1, RUNNING: 2}


@pytest.mark.parametrize("error", [ConnectionLost, TimedOut])
def test_the_next_fetch_gets_what_the_last_one_should_have_had(queue, line, error):
    jobs = [job() for _ in range(5)]
    queue.enqueue(jobs)
    line.breaks, line.error = 2, error
    with pytest.raises(QueueUnavailable):
        queue.fetch(replace(CLAIM, threads=2))
    line.breaks = 0
    again = queue.fetch(replace(CLAIM, threads=9))
    assert [one.id for one in again] == [one.id for one in jobs[:2]]
    assert [queue.get(one.id) for one in again] == again
    assert {one.lost for one in again} == {0}
    assert [one.id for one in queue.fetch(CLAIM)] == [one.id for one in jobs[2:]]
    assert queue.finish([done(one) for one in again]) == set()


def test_what_was_rescued_in_between_is_not_handed_over_again(queue, line):
    queue.enqueue([job(), job()])
    line.breaks = 2
    with pytest.raises(QueueUnavailable):
        queue.fetch(CLAIM)
    first, second = queue.list(status=RUNNING)
    queue.renew([first], 0)
    queue.rescue()
    assert queue.fetch(CLAIM) == [second]
    [rescued] = queue.fetch(CLAIM)
    assert (rescued.id, rescued.lost) == (first.id, 1)


def test_a_late_fetch_of_another_worker_is_not_ours(queue, line):
    queue.enqueue([job(), job()])
    line.breaks = 2
    with pytest.raises(QueueUnavailable):
        queue.fetch(replace(CLAIM, threads=1))
    [other] = queue.fetch(replace(CLAIM, worker_id="w2"))
    [orphan] = [one for one in queue.list(status=RUNNING) if one.id != other.id]
    assert (orphan.worker_id, other.worker_id) == ("w1", "w2")


def test_a_timeout_is_not_tried_again_at_once(queue, line):
    line.breaks, line.error = 1, TimedOut
    with pytest.raises(QueueUnavailable):
        queue.enqueue([job()])
    assert line.scripts == 1


def test_an_outcome_is_taken_once_more(queue, line):
    [one] = held(queue)
    line.breaks = 2
    with pytest.raises(QueueUnavailable):
        queue.finish([done(one)])
    assert everything(queue) == {SUCCESSFUL: 1}


@pytest.mark.parametrize(
    "ending",
    [
        {"status": SUCCESSFUL, "return_value": "1"},
        {"status": FAILED},
        {"status": READY},
        {"status": READY, "run_after": utcnow().replace(year=2100)},
        {"status": READY, "spent": False},
    ],
)
def test_an_outcome_whose_reply_was_lost_counts_as_accepted(queue, line, ending):
    [one] = held(queue)
    outcome = Outcome(job=one, **ending)
    line.breaks = 2
    with pytest.raises(QueueUnavailable):
        queue.finish([outcome])
    stored = queue.get(one.id)
    assert queue.finish([outcome]) == set()
    assert queue.get(one.id) == stored == outcome.applied()
    assert everything(queue) == {outcome.status: 1}


def test_so_it_does_when_its_successor_holds_the_job(queue):
    [one] = held(queue)
    released = Outcome.released(one)
    queue.finish([released])
    [successor] = queue.fetch(replace(CLAIM, worker_id="w2"))
    assert queue.finish([released]) == set()
    assert queue.get(one.id) == successor
    assert queue.finish([done(one)]) == {one.id}


def test_one_outcome_twice_in_a_list(queue):
    [one] = held(queue)
    outcome = Outcome.released(one)
    other = Outcome(job=one, status=FAILED)
    assert queue.finish([outcome, outcome]) == set()
    assert everything(queue) == {READY: 1}
    [one] = queue.fetch(CLAIM)
    assert queue.finish([done(one), replace(other, job=one)]) == {one.id}
    assert everything(queue) == {SUCCESSFUL: 1}


def test_an_exchange_is_one_script(queue, line):
    first = held(queue, 3)
    queue.enqueue([job() for _ in range(2)])
    before, refused = line.scripts, []
    second = queue.exchange([done(one) for one in first], CLAIM, refused.append)
    assert line.scripts == before + 1
    assert refused == [set()]
    assert len(second) == 2
    assert everything(queue) == {SUCCESSFUL: 3, RUNNING: 2}


def test_an_exchange_whose_reply_was_lost_is_made_good(queue, line):
    first = held(queue, 3)
    queue.enqueue([job() for _ in range(4)])
    outcomes, refused = [done(one) for one in first], []
    line.breaks = 2
    with pytest.raises(QueueUnavailable):
        queue.exchange(outcomes[:2], replace(CLAIM, threads=3), refused.append)
    assert refused == []
    second = queue.exchange(outcomes, CLAIM, refused.append)
    assert refused == [set()]
    assert len(second) == 3
    assert everything(queue) == {SUCCESSFUL: 3, RUNNING: 3, READY: 1}


def test_a_job_handed_back_can_come_back_at_once(queue):
    [one] = held(queue)
    refused = []
    [again] = queue.exchange([Outcome.released(one)], CLAIM, refused.append)
    assert refused == [set()]
    assert again.id == one.id
    assert again.token != one.token


def test_renewing_and_rescuing_again_does_no_harm(queue, line):
    renewed, expired = held(queue, 2)
    line.breaks = 1
    assert queue.renew([renewed], 60) == set()
    queue.renew([expired], 0)
    line.breaks = 1
    assert [one.id for one in queue.rescue()] == [expired.id]
    line.breaks = 2
    with pytest.raises(QueueUnavailable):
        queue.rescue()
    assert queue.get(expired.id).lost == 1


@pytest.mark.parametrize("lost", [1, 2, MAX_LOST - 1])
def test_a_rescue_whose_reply_was_lost_says_what_it_freed(queue, line, lost):
    [one, other] = queue.enqueue([job(lost=lost - 1), job(lost=lost - 1)])
    for expired in queue.fetch(CLAIM):
        queue.renew([expired], 0)
    line.sends_twice = True
    assert {freed.id for freed in queue.rescue()} == {one.id, other.id}
    assert queue.rescue() == []


def test_a_client_that_sends_everything_twice_changes_no_answer(queue, line):
    line.sends_twice = True
    plain, keyed = job(), job(key="series@1")
    assert queue.enqueue([plain, keyed]) == [plain, keyed]
    assert queue.enqueue([job(key="series@1")]) == []
    assert everything(queue) == {READY: 2}
    first, second = queue.fetch(CLAIM)
    assert queue.renew([first, second], 60) == set()
    assert queue.update(first, "checkpoint", "1")
    assert queue.finish([done(first), done(second)]) == set()
    assert everything(queue) == {SUCCESSFUL: 2}
    queue.register(worker_of_text("w1", "{}", 0))
    assert len(queue.workers()) == 1


def test_scripts_that_the_server_has_forgotten_are_sent_again(queue):
    [one] = held(queue)
    queue.server.client.script_flush()
    assert queue.finish([done(one)]) == set()
    queue.server.client.script_flush()
    assert queue.get(one.id).status == SUCCESSFUL
