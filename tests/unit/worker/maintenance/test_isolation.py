"""Who starts isolated workers, when, and what becomes of what they held."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import pytest

from django_loco.core.job import FAILED, READY, RUNNING, SUSPECT, Job
from django_loco.exceptions import JobsLocked, QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.maintenance.isolation import LOG_EVERY_SECONDS, Isolation
from django_loco.worker.worker import Worker

from ..support import Clock, job, wait_until

CLAIM = Claim(worker_id="w", lease=60, threads=1, coroutines=1, suspects=True)
EVERY = 3.0


class SuspectQueue(MemoryQueue):
    """A memory queue that says how many suspects there are, and hands over one at a time."""

    def __init__(self) -> None:
        super().__init__("default", {})
        self.most_at_once = 0
        self.trouble: Exception | None = None

    def suspects(self, claim: Claim) -> int:
        if self.trouble:
            raise self.trouble
        return sum(each.is_suspect and each.status == READY for each in self.list())

    def fetch(self, claim: Claim) -> list[Job]:
        if not claim.suspects:
            return super().fetch(claim)
        for threads in (1, 0):
            if jobs := super().fetch(Claim(worker_id="w", lease=60, threads=threads, coroutines=1 - threads)):
                running = sum(each.status == RUNNING for each in self.list())
                self.most_at_once = max(self.most_at_once, running)
                return jobs
        return []


class FakeWorker:
    """An isolated worker that ends when the test says so."""

    def __init__(self, number: int) -> None:
        self.pid, self.key = number, f"key{number}"
        self.code: int | None = None
        self.is_ready = True
        self.kill_at = math.inf
        self.told: list[str] = []
        self.was_killed = False

    def receive(self) -> FakeWorker:
        return self

    def poll(self) -> int | None:
        return self.code

    def send(self, name: str) -> None:
        self.told.append(name)

    def kill(self) -> None:
        self.was_killed = True

    def takes(self, queue: MemoryQueue) -> str:
        [held] = queue.fetch(Claim(worker_id=f"host:1:{self.key}", lease=60, threads=1))
        return held.id


class Parent:
    """An ``Isolation`` whose turns the test takes."""

    def __init__(self, queue: MemoryQueue, most: int = 1) -> None:
        self.clock = Clock()
        self.started: list[FakeWorker] = []
        self.problem: Exception | None = None
        self.rescued: list[str] = []
        self.isolation = Isolation(
            queue, CLAIM, self.start, every=EVERY, most=most, on_rescued=self.note, clock=self.clock
        )

    def note(self, jobs: Sequence[Job]) -> None:
        self.rescued += [job.id for job in jobs]

    def start(self, claim: Claim) -> FakeWorker:
        assert claim == CLAIM
        if self.problem:
            raise self.problem
        self.started.append(FakeWorker(len(self.started) + 1))
        return self.started[-1]

    def turn(self, count: int = 1) -> None:
        for _ in range(count):
            self.isolation.turn()
            self.clock.now += 2 * EVERY


@pytest.fixture
def queue() -> SuspectQueue:
    return SuspectQueue()


@pytest.fixture
def parent(queue) -> Parent:
    return Parent(queue)


def enqueue_suspects(queue: MemoryQueue, count: int) -> list[str]:
    return [each.id for each in queue.enqueue([job("nothing", lost=SUSPECT) for _ in range(count)])]


def test_none_is_started_without_suspects(queue, parent):
    queue.enqueue([job("nothing", lost=SUSPECT - 1)])
    parent.turn(3)
    assert (parent.started, parent.isolation.waiting) == ([], 0)


def test_one_is_started_if_nobody_else_takes_them(queue, parent, caplog):
    enqueue_suspects(queue, 3)
    parent.turn()
    assert parent.started == [], "another process may have started one"
    parent.turn(5)
    assert parent.isolation.pids == [1]
    assert "Jobs with which 2 workers have died: 3. An isolated worker (pid 1)" in caplog.text


def test_none_is_started_while_others_take_them(queue, parent):
    enqueue_suspects(queue, 9)
    for _ in range(9):
        parent.turn()
        queue.fetch(Claim(worker_id="other", lease=60, threads=1))
    assert parent.started == []


def test_more_are_started_where_it_is_slow_and_allowed(queue):
    parent = Parent(queue, most=2)
    enqueue_suspects(queue, 9)
    parent.turn(9)
    assert parent.isolation.pids == [1, 2]


def test_a_death_fails_its_job_at_once_and_the_next_one_starts(queue, parent, caplog):
    enqueue_suspects(queue, 2)
    parent.turn(2)
    killer = parent.started[0].takes(queue)
    parent.started[0].code = -9
    parent.isolation.turn()
    assert queue.get(killer).status == FAILED
    assert parent.rescued == [killer]
    assert parent.isolation.pids == [2]
    assert "The isolated worker (pid 1) ended with exit code -9" in caplog.text


def test_a_good_end_is_none(queue, parent, caplog):
    enqueue_suspects(queue, 1)
    parent.turn(2)
    parent.started[0].takes(queue)
    queue.clear()
    parent.started[0].code = 0
    parent.turn()
    assert parent.isolation.pids == []
    assert "exit code" not in caplog.text
    assert parent.isolation.is_idle


def test_one_that_found_nothing_to_do_has_no_successor_at_once(queue, parent):
    enqueue_suspects(queue, 1)
    parent.turn(2)
    parent.started[0].code = 0
    parent.isolation._look_at = math.inf
    parent.turn(5)
    assert len(parent.started) == 1


def test_what_the_dead_held_is_not_forgotten_while_the_queue_is_away(queue, parent, monkeypatch):
    enqueue_suspects(queue, 1)
    parent.turn(2)
    killer = parent.started[0].takes(queue)
    parent.started[0].code = 1
    with monkeypatch.context() as patch, pytest.raises(QueueUnavailable):
        patch.setattr(queue, "list", lambda **_: (_ for _ in ()).throw(QueueUnavailable("away")))
        parent.isolation.turn()
    parent.isolation.turn()
    assert queue.get(killer).status == FAILED


def test_one_that_cannot_be_started_is_told_and_tried_again(queue, parent, caplog):
    parent.problem = BlockingIOError("Resource temporarily unavailable")
    enqueue_suspects(queue, 2)
    parent.turn(2)
    assert "cannot be started: Resource temporarily unavailable. Jobs that wait for one: 2." in caplog.text
    assert parent.isolation.trouble == "No isolated worker can be started: Resource temporarily unavailable"
    assert parent.isolation.is_idle, "a worker that drains need not wait for it"
    parent.problem = None
    parent.turn(10)
    assert parent.isolation.trouble == ""
    assert not parent.isolation.is_idle


def test_one_that_does_not_come_up_is_tried_again_more_and_more_rarely(queue, parent, caplog):
    enqueue_suspects(queue, 1)
    parent.turn(2)
    for _ in range(20):
        parent.started[-1].is_ready = False
        parent.started[-1].code = 2
        parent.isolation.turn()
        parent.clock.now += 1
    assert len(parent.started) < 8
    assert "exit code 2 before it had begun" in parent.isolation.trouble


def test_it_says_once_a_minute_how_it_goes_on(queue, parent, caplog):
    enqueue_suspects(queue, 40)
    parent.turn(2)
    parent.started[0].takes(queue)
    parent.clock.now += LOG_EVERY_SECONDS
    parent.turn()
    assert "Jobs that wait to run alone: 39, a minute ago 40" in caplog.text
    parent.turn()
    assert caplog.text.count("a minute ago") == 1


def test_quiet_and_stop_are_passed_on_no_more_than_twice(queue, parent):
    enqueue_suspects(queue, 2)
    parent.turn(2)
    isolation, [worker] = parent.isolation, parent.started
    isolation.quiet()
    isolation.quiet()
    for seconds in (9, 9, 5, 1):
        isolation.stop(parent.clock.now + seconds)
    assert worker.told == ["SIGTSTP", "SIGTERM", "SIGTERM"], "a third one would end it on the spot, which is a death"
    worker.code = 0
    parent.turn(3)
    assert parent.isolation.pids == [], "no other is started"


def test_the_end_hands_back_what_is_still_held(queue):
    enqueue_suspects(queue, 1)
    workers: list[FakeWorker] = []

    def start(claim: Claim) -> FakeWorker:
        workers.append(FakeWorker(1))
        return workers[0]

    isolation = Isolation(queue, CLAIM, start, every=0.01)
    isolation.start()
    wait_until(lambda: isolation.pids)
    held = workers[0].takes(queue)
    isolation.stop(isolation._clock() + 0.3)
    isolation.wind_down()
    assert workers[0].told[:2] == ["SIGTERM", "SIGTERM"]
    assert workers[0].was_killed
    assert (queue.get(held).status, queue.get(held).lost) == (READY, SUSPECT), "its parent has killed it: no death"
    isolation.end()
    assert isolation.join(5)


@pytest.mark.parametrize("call", ["list", "finish"])
def test_the_end_kills_those_whose_jobs_cannot_be_handed_back(queue, caplog, monkeypatch, call):
    workers = [FakeWorker(1), FakeWorker(2)]
    isolation = Isolation(queue, CLAIM, lambda _: next(made), every=0.01, most=2)
    made = iter(workers)
    for worker in workers:
        enqueue_suspects(queue, 1)
        isolation._start()
        worker.takes(queue)

    def fail(*args: object, **options: object) -> None:
        raise JobsLocked("a transaction has locked it")

    monkeypatch.setattr(queue, call, fail)
    isolation._give_up()
    assert [worker.was_killed for worker in workers] == [True, True]
    assert isolation.handed_back == 0
    assert caplog.text.count("could not be handed back") == 2


@pytest.mark.parametrize("moment", ["is made", "has been made"])
def test_one_that_is_started_at_the_end_is_told_once(queue, parent, monkeypatch, moment):
    """At the second time it would hand its job back at once."""

    def stop(*args: object) -> None:
        parent.isolation.stop(parent.clock() + 5)

    if moment == "is made":
        start = parent.start
        monkeypatch.setattr(parent.isolation, "_make", lambda claim: (start(claim), stop())[0])
    else:
        monkeypatch.setattr("django_loco.worker.maintenance.isolation.logger.warning", stop)
    enqueue_suspects(queue, 1)
    parent.turn(3)
    [worker] = parent.started
    assert worker.told == ["SIGTERM"]


def test_the_end_waits_for_a_worker_that_ends_in_time(queue):
    enqueue_suspects(queue, 1)
    worker = FakeWorker(1)
    isolation = Isolation(queue, CLAIM, lambda _: worker, every=0.01)
    isolation.start()
    wait_until(lambda: isolation.pids)
    threading.Timer(0.1, setattr, (worker, "code", 0)).start()
    isolation.wind_down()
    assert (worker.told, worker.was_killed) == (["SIGTERM"], False)
    isolation.end()
    assert isolation.join(5)


# In a worker


def test_an_isolated_worker_runs_one_at_a_time_and_ends(queue, start):
    queue.enqueue([job(("nothing", "anothing")[number % 2], lost=SUSPECT) for number in range(9)])
    worker = start(queue, is_isolated=True, drain=True, threads=9, coroutines=9)
    assert worker.join(10)
    assert queue.most_at_once == 1
    assert worker.health()["done"] == 9


def test_an_isolated_worker_begins_with_none_before_the_end_of_another_is_stored(queue, start, monkeypatch):
    """Were it killed by the next one, the one before would be counted a death."""
    enqueue_suspects(queue, 2)
    finish, tries = queue.finish, []

    def refuse_twice(outcomes):
        tries.append(sum(each.status == RUNNING for each in queue.list()))
        if len(tries) <= 2:
            raise ValueError("not now")
        return finish(outcomes)

    monkeypatch.setattr(queue, "finish", refuse_twice)
    assert start(queue, is_isolated=True, drain=True).join(20)
    assert len(tries) == 4
    assert set(tries) == {1}
    assert queue.most_at_once == 1


def test_an_isolated_worker_leaves_rescues_to_others(queue, start):
    dead = enqueue_suspects(queue, 1)
    assert queue.fetch(Claim(worker_id="dead", lease=-1, threads=1))
    assert start(queue, is_isolated=True, drain=True, lease=0.3).join(10)
    assert queue.get(dead[0]).status == RUNNING


@pytest.mark.slow
def test_a_worker_that_drains_waits_for_its_isolated_worker(queue, monkeypatch):
    suspects = enqueue_suspects(queue, 1)
    workers: list[FakeWorker] = []

    def start(claim: Claim) -> FakeWorker:
        assert (claim.threads, claim.coroutines, claim.suspects) == (2, 2, True)
        workers.append(FakeWorker(1))
        return workers[0]

    monkeypatch.setattr(queue, "fetch", lambda _: [])  # an ordinary one gets no suspects
    worker = Worker(queue, threads=2, coroutines=2, lease=0.3, result_ttl=60, drain=True, isolate=start)
    worker.start()
    wait_until(lambda: workers)
    assert worker.health()["isolated"] == [1]
    assert worker.health()["suspects"] == 1
    assert not worker.join(0.2)
    queue.clear()
    workers[0].code = 0
    assert worker.join(10)
    assert queue.get(suspects[0]) is None
