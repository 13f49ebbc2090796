"""Who is woken by what."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from redis import Redis
from redis.sentinel import SentinelConnectionPool

from django_loco.core.job import FAILED, READY, Job, Outcome, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.base import Change
from django_loco.queues.redis import RedisQueue
from tests.redis_server import RedisServer

PATIENCE = 10.0
CLAIM = Claim(worker_id="w", lease=60, threads=10, coroutines=10)


def job(**given) -> Job:
    return Job(**{"task_path": "shop.tasks.send", "backend": "default"} | given)


class Waiting:
    """A worker of another process: a queue of its own, and a thread that waits once."""

    def __init__(self, url: str, claim: Claim, seconds: float) -> None:
        self.queue = RedisQueue("default", {"url": url})
        self.queue.fetch(claim)
        self.woken: bool | None = None
        self.ended = threading.Event()
        self._seconds = seconds
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self) -> None:
        try:
            self.woken = self.queue.wait(self._seconds)
        finally:
            self.ended.set()
            self.queue.close()

    def join(self) -> bool | None:
        self.queue.interrupt()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.woken


@pytest.fixture
def queue(redis_server) -> RedisQueue:
    queue = RedisQueue("default", {"url": redis_server.url})
    queue.clear()
    silence(queue)
    return queue


def silence(queue) -> None:
    """Take away the marks that nobody has waited for."""
    client = queue.server.client
    for bell in client.scan_iter("django-loco:{default}:bell*"):
        client.delete(bell)


@pytest.fixture
def waiting(redis_server, queue):
    """Start a worker that waits, and return once it does."""
    started: list[Waiting] = []

    def start(seconds=PATIENCE, **claim) -> Waiting:
        started.append(Waiting(redis_server.url, replace(CLAIM, **{"worker_id": f"w{len(started)}"} | claim), seconds))
        until(lambda: blocked(queue) == sum(not one.ended.is_set() for one in started))
        return started[-1]

    yield start
    for one in started:
        one.join()


def blocked(queue) -> int:
    return queue.server.client.info("clients")["blocked_clients"]


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)


def test_one_job_wakes_one_worker(queue, waiting):
    workers = [waiting() for _ in range(3)]
    queue.enqueue([job()])
    until(lambda: any(one.ended.is_set() for one in workers))
    assert blocked(queue) == 2
    assert workers[0].join() is True, "the one that has waited longest"


def test_a_job_that_is_made_ready_again_wakes_a_worker(queue, waiting):
    queue.enqueue([job()])
    [held] = queue.fetch(CLAIM)
    queue.finish([Outcome(job=held, status=FAILED)])
    silence(queue)
    worker = waiting()
    ended = queue.get(held.id)
    assert queue.change([Change(before=ended, after=replace(ended, status=READY, finished_at=None))]) == set()
    assert worker.ended.wait(PATIENCE)
    assert worker.join() is True


def test_many_jobs_wake_many_workers(queue, waiting):
    workers = [waiting() for _ in range(4)]
    queue.enqueue([job() for _ in range(3)])
    until(lambda: sum(one.ended.is_set() for one in workers) == 3)
    queue.enqueue([job() for _ in range(1_000)])
    until(lambda: all(one.ended.is_set() for one in workers))


def test_jobs_one_after_the_other_wake_one_worker_each(queue, waiting):
    workers = [waiting() for _ in range(3)]
    for number in range(3):
        queue.enqueue([job()])
        until(lambda number=number: sum(one.ended.is_set() for one in workers) == number + 1)


@pytest.mark.parametrize(
    ("deaf", "hearing", "arrives"),
    [
        ({"threads": 0}, {"coroutines": 0}, {"is_async": False}),
        ({"coroutines": 0}, {"threads": 0}, {"is_async": True}),
        ({"queues": ("a",)}, {"queues": ("b", "c")}, {"queue_name": "c"}),
        ({"queues": ("a",)}, {"queues": None}, {"queue_name": "c"}),
        ({"tags": ("x",)}, {"tags": ("y",)}, {"tags": ("y", "z")}),
        ({"tags": ("x",)}, {"tags": ()}, {}),
        ({"tags": ()}, {"tags": ("y",)}, {"tags": ("y",)}),
    ],
)
def test_who_cannot_run_a_job_is_not_woken_by_it(queue, waiting, deaf, hearing, arrives):
    first, second = waiting(**deaf), waiting(**hearing)
    queue.enqueue([job(**arrives)])
    assert second.ended.wait(PATIENCE)
    assert second.join() is True
    assert not first.ended.is_set()


def test_who_has_given_all_its_room_away_is_not_woken(queue, waiting):
    queue.enqueue([job() for _ in range(2)])
    full = waiting(threads=2, coroutines=1)  # takes both
    idle = waiting()
    queue.enqueue([job()])
    assert idle.ended.wait(PATIENCE)
    assert not full.ended.is_set()


def test_a_mark_that_comes_too_late_is_passed_on(queue, waiting):
    first = waiting()
    second = waiting()
    first.queue.fetch(replace(CLAIM, worker_id="w0", threads=0))  # no thread is free any more
    queue.enqueue([job()])
    assert second.ended.wait(PATIENCE)
    assert second.join() is True
    assert not first.ended.is_set()


def test_a_mark_that_is_passed_on_does_not_stay_for_ever(queue, waiting):
    worker = waiting()
    worker.queue.fetch(replace(CLAIM, worker_id="w0", threads=0))  # no thread is free any more
    queue.enqueue([job()])
    until(lambda: queue.server.client.pttl("django-loco:{default}:bell:0*") > 0)
    assert not worker.ended.is_set()


def test_a_worker_with_new_room_listens_at_once(queue, waiting):
    worker = waiting(threads=0)
    queue.enqueue([job()])
    assert not worker.ended.wait(0.05)
    worker.queue.fetch(replace(CLAIM, worker_id="w0", threads=1, queues=("other",)))
    queue.enqueue([job(queue_name="other")])
    assert worker.ended.wait(PATIENCE)
    assert worker.join() is True


@pytest.mark.parametrize("may_unblock", [True, False])
def test_a_deferred_job_ends_the_wait_when_it_is_due(queue, waiting, may_unblock, monkeypatch):
    if not may_unblock:
        monkeypatch.setattr("django_loco.queues.redis.listener.RedisListener._own_id", lambda self: None)
    worker = waiting()
    due_at = utcnow() + timedelta(seconds=0.3)
    queue.enqueue([job(run_after=due_at)])
    assert worker.ended.wait(PATIENCE), "it is told of what is due soon"
    if not worker.queue.fetch(CLAIM):  # else this machine is so busy that the job is due by now
        assert worker.queue.wait(PATIENCE) is True
        until(lambda: worker.queue.fetch(CLAIM))
    assert_about(due_at)
    worker.queue.close()


def assert_about(due_at: datetime) -> None:
    """It is not before ``due_at``, and not so late as if nobody had told of it."""
    assert timedelta(seconds=-0.2) < utcnow() - due_at < timedelta(seconds=PATIENCE / 2)


def test_a_wait_under_way_learns_of_an_earlier_due_time(queue, waiting):
    worker = waiting()
    due_at = utcnow() + timedelta(seconds=3)
    queue.enqueue([job(run_after=due_at)])  # not so soon that it is announced
    assert not worker.ended.wait(0.05)
    worker.queue.fetch(CLAIM)
    assert worker.ended.wait(PATIENCE)
    assert worker.join() is True
    assert_about(due_at)


def test_a_due_time_that_is_put_off_is_no_trouble(queue, monkeypatch):
    """As when another worker of the process has fetched the job in the meantime."""
    queue.fetch(CLAIM)
    reads = iter([0.05, 0.05])  # by the loop, and by what sleeps
    due = property(lambda self: time.monotonic() + next(reads, math.inf))
    monkeypatch.setattr(type(queue._demand), "next_due", due, raising=False)
    assert queue.wait(0.2) is False
    assert next(reads, None) is None
    queue.close()


def test_a_pop_that_the_server_has_not_come_to_yet_is_ended(queue, monkeypatch):
    queue.fetch(CLAIM)
    queue.wait(0.01)
    [listener] = queue.listeners()
    answers = iter([0, 0])
    unblock = listener._node.client_unblock
    monkeypatch.setattr(listener._node, "client_unblock", lambda client: next(answers, None) or unblock(client))
    queue._demand.next_due = time.monotonic() + 0.05
    started = time.monotonic()
    assert queue.wait(PATIENCE) is True
    assert time.monotonic() - started < PATIENCE / 2
    queue.close()


def test_a_job_handed_back_for_later_wakes_nobody(queue, waiting):
    queue.enqueue([job()])
    [held] = queue.fetch(CLAIM)
    silence(queue)
    worker = waiting()
    queue.finish([Outcome.released(held, run_after=utcnow() + timedelta(hours=1))])
    assert not worker.ended.wait(0.05)
    queue.enqueue([job()])
    assert worker.ended.wait(PATIENCE)


def test_marks_do_not_pile_up_while_nobody_waits(queue):
    for _ in range(3):
        queue.enqueue([job() for _ in range(100)])
    client = queue.server.client
    assert {client.zcard(bell) for bell in client.scan_iter("django-loco:{default}:bell*")} == {16}


def test_a_job_that_is_there_already_is_not_announced(queue):
    queue.enqueue([job(key="once")])
    silence(queue)
    queue.enqueue([job(key="once")])
    assert [*queue.server.client.scan_iter("django-loco:{default}:bell*")] == []


def test_a_wait_leaves_nothing_behind_that_takes_marks(queue, waiting):
    worker = waiting(0.1)
    assert worker.ended.wait(PATIENCE)
    other = waiting()
    other.join()
    until(lambda: blocked(queue) == 0)
    queue.enqueue([job()])
    assert queue.wait(PATIENCE) is True
    queue.close()


def test_who_waits_takes_no_connection_from_the_pool(redis_server, queue):
    small = RedisQueue("default", {"url": redis_server.url + "?max_connections=1"})
    small.fetch(CLAIM)
    woken = threading.Event()
    listener = threading.Thread(target=lambda: (small.wait(PATIENCE), small.close(), woken.set()))
    listener.start()
    until(lambda: blocked(queue) == 1)
    small.enqueue([job()])
    assert woken.wait(PATIENCE)
    listener.join()
    assert len(small.fetch(CLAIM)) == 1


class Sentinel:
    """Says where the primary is, which by its name alone nobody would find."""

    def __init__(self, port: int) -> None:
        self.port = port

    def discover_master(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", self.port


def test_who_waits_goes_on_when_the_connection_breaks(queue, waiting):
    waits = waiting()
    queue.server.client.client_kill_filter(_type="normal", skipme=True)
    until(lambda: blocked(queue) == 1)
    queue.enqueue([job()])
    until(waits.ended.is_set)
    assert waits.join() is True


def test_who_waits_asks_a_sentinel_where(redis_server, queue):
    pool = SentinelConnectionPool("no-such-host.invalid", Sentinel(redis_server.port))
    queue.server.client = Redis(connection_pool=pool)
    queue.fetch(CLAIM)
    queue.enqueue([job()])
    assert queue.wait(PATIENCE) is True
    queue.close()


def test_a_wait_ends_when_a_job_is_due_though_the_pool_is_exhausted(redis_server, queue):
    small = RedisQueue("default", {"url": redis_server.url + "?max_connections=1"})
    small.fetch(CLAIM)
    small._demand.next_due = time.monotonic() + 0.05
    with small.server.client.client():  # has the only one
        assert small.wait(PATIENCE) is True
    small.close()


def test_an_interrupt_reaches_a_wait_for_a_server_that_hangs():
    with RedisServer() as server:
        queue = RedisQueue("default", {"url": server.url})
        queue.fetch(CLAIM)
        ended = threading.Event()
        listener = threading.Thread(target=lambda: (queue.wait(1), queue.close(), ended.set()))
        listener.start()
        until(lambda: blocked(queue) == 1)
        server.pause()
        try:
            assert not ended.wait(1.5)
            queue.interrupt()
            assert ended.wait(PATIENCE)
        finally:
            server.resume()
        listener.join()


def is_served(queue: RedisQueue) -> bool:
    """Return whether it is answered in the short time that a test has given it, as a busy machine may not do."""
    try:
        queue.fetch(CLAIM)
        queue.wait(0.001)
    except QueueUnavailable:
        return False
    return True


def test_a_server_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr("django_loco.queues.redis.listener.REPLY_SECONDS", 0.2)
    with RedisServer() as server:
        queue = RedisQueue("default", {"url": server.url + "?socket_timeout=0.5"})
        until(lambda: is_served(queue))
        server.pause()
        try:
            for call in (lambda: queue.wait(0.1), lambda: queue.enqueue([job()]), lambda: queue.wait(0.1)):
                started = time.monotonic()
                with pytest.raises(QueueUnavailable, match="Timeout"):
                    call()
                assert time.monotonic() - started < PATIENCE / 2
        finally:
            server.resume()
        until(lambda: is_served(queue))
        queue.close()
