"""What a request or a job keeps in ``contextvars`` stays with it, whatever it starts or causes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from django.test import override_settings

from django_loco.assembly.supervised_component import ComponentSpec
from django_loco.assembly.supervisor import Supervisor
from django_loco.core.compat import task_enqueued, task_finished, task_started
from django_loco.core.job import CARRY, FAILED, SUCCESSFUL, Job, Outcome
from django_loco.core.serialization import decode
from django_loco.core.threads.bounded_calls import BoundedCalls
from django_loco.queues import queue_for
from django_loco.queues.memory import MemoryQueue
from django_loco.scheduler import Registry, Scheduler
from django_loco.worker.maintenance.housekeeping import Housekeeping
from django_loco.worker.outcomes.inbox import OutcomeInbox
from django_loco.worker.pools.event_loop import EventLoopPool
from django_loco.worker.pools.threads import ThreadPool
from django_loco.worker.worker import Worker
from tests.unit.scheduler.tasks import tick
from tests.unit.test_component import Turns

from .. import tasks
from ..support import claimed_of, held, job, wait_until
from ..tasks import noted, notes


@pytest.fixture(autouse=True)
def inheriting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads begin with the context of whoever starts them, as on free-threaded builds and with Sentry's SDK."""
    start = threading.Thread.start

    def start_with_context(thread: threading.Thread) -> None:
        context, run = copy_context(), thread.run
        thread.run = lambda: context.run(run)  # type: ignore[method-assign]
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_with_context)


@pytest.fixture(autouse=True)
def request_() -> Iterator[list[str]]:
    """The notes of a request in whose context everything is started."""
    found: list[str] = ["request"]
    token = notes.set(found)
    yield found
    notes.reset(token)
    assert found == ["request"]


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue("default", {})


@pytest.fixture
def start(queue: MemoryQueue) -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def start(**options: Any) -> Worker:
        workers.append(Worker(queue, **{"threads": 1, "coroutines": 1, "lease": 30, "result_ttl": 60, **options}))
        workers[-1].start()
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop(time.monotonic() + 2)
        assert worker.join(10)


class Heard:
    """What a receiver found in its context, by signal."""

    def __init__(self) -> None:
        self.notes: list[list[str]] = []

    def __call__(self, **kwargs: Any) -> None:
        self.notes.append([*noted("receiver")])


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    for signal in (task_started, task_finished, task_enqueued):
        signal.connect(heard)
    yield heard
    for signal in (task_started, task_finished, task_enqueued):
        signal.disconnect(heard)


def ended(queue: MemoryQueue, jobs: list[Job]) -> list[Job]:
    def all_ended() -> list[Job]:
        found = [one for stored in jobs if (one := queue.get(stored.id)) and one.finished_at]
        return found if len(found) == len(jobs) else []

    wait_until(all_ended)
    return all_ended()


@pytest.mark.parametrize(("name", "expected"), [("note", ["1"]), ("anote", ["1", "1 in a thread"])])
def test_a_job_begins_with_nothing(queue, start, name, expected):
    start()
    first, second = ended(queue, queue.enqueue([job(name, "1"), job(name, "1")]))
    assert (decode(first.return_value), decode(second.return_value)) == (expected, expected)


@pytest.mark.parametrize("name", ["note", "anote", "note_and_fail", "anote_and_fail"])
def test_receivers_share_the_context_of_their_job_alone(queue, start, heard, name):
    start()
    ended(queue, queue.enqueue([job(name, "job"), job(name, "job")]))
    began, end = ["receiver"], ["receiver", "job", *["job in a thread"] * (name == "anote"), "receiver"]
    assert heard.notes == [began, end, began, end]


@pytest.mark.parametrize("name", ["deaf", "astubborn"])
def test_so_do_those_of_a_job_that_is_given_up(heard, name):
    finished = OutcomeInbox()
    sync, on_loop = (
        ThreadPool(2, "default", finished.add, grace=0.05),
        EventLoopPool(2, 2, "default", finished.add, 0.05),
    )
    pool: Any = on_loop if name.startswith("a") else sync
    pool.submit([claimed_of(name, f"{name} 1"), claimed_of(name, f"{name} 2")])
    outcomes: list[str] = []
    wait_until(lambda: outcomes.extend(outcome.status for _, outcome in finished.take()) or len(outcomes) == 2)
    for number in (1, 2):
        tasks.events[f"{name} {number}"].set()
    pool.close()
    assert pool.join(10)
    assert outcomes == [FAILED] * 2
    assert heard.notes == [["receiver"]] * 4


def test_so_do_those_of_a_job_that_is_lost(heard):
    class Queue(MemoryQueue):
        def rescue(self, limit: int = 100) -> list[Job]:
            lost = [held("nothing", lost=2), held("nothing", lost=2)]
            return [Outcome.of_dead_worker(one).applied() for one in lost]

    Housekeeping(Queue("default", {}), 30, 60).turn()
    assert heard.notes == [["receiver"], ["receiver"]]


@pytest.mark.parametrize("name", ["note", "anote"])
@override_settings(WORKER_MODE="ForegroundBlocking")
def test_a_job_that_runs_in_enqueue_sees_as_little_of_its_caller(name):
    result = getattr(tasks, name).enqueue("1")
    assert result.status == SUCCESSFUL
    assert result.return_value[0] == "1"


def test_a_worker_started_by_a_job_does_not_inherit_it():
    with override_settings(
        WORKER_MODE="BackgroundAsync",
        TASKS={"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"spool": None}}},
    ):
        result = tasks.note.enqueue("1")
        queue: Any = queue_for("default")
        [one] = ended(queue, [queue.get(result.id)])
        assert decode(one.return_value) == ["1"]


def test_hooks():
    found: list[list[str]] = []

    def hook() -> None:
        found.append([*noted("sync")])

    async def ahook() -> None:
        found.append([*noted("async")])

    calls = BoundedCalls()
    for one in (hook, ahook, hook):
        assert calls.wait(calls.start("A hook", one), until=lambda: time.monotonic() + 10)
    assert found == [["sync"], ["async"], ["sync"]]


def test_components_and_their_restarts():
    found: list[list[str]] = []

    class Failing(Turns):
        def __init__(self) -> None:
            super().__init__()
            found.append([*noted("made")])

        def open(self) -> None:
            found.append([*noted("opened")])
            if len(found) < 4:
                raise OSError

    supervisor = Supervisor([ComponentSpec("failing", Failing)], first_delay=0.0, check_every=0.001)
    supervisor.start()
    wait_until(lambda: len(found) == 4)
    supervisor.stop(time.monotonic())
    assert supervisor.join(10)
    assert found == [["made"], ["opened"], ["made"], ["opened"]]


@pytest.mark.slow
def test_receivers_in_a_scheduler(heard):
    registry = Registry(strict=True)
    registry.every(tick, seconds=1, name="second")
    registry.every(tick, seconds=1, name="other")
    scheduler = Scheduler(registry)
    with override_settings(
        TASKS={
            "default": {
                "BACKEND": "django_loco.backend.LocoBackend",
                "OPTIONS": {"queue": "memory", "mode": "BackgroundQueue"},
            }
        }
    ):
        scheduler.start()
        wait_until(lambda: len(heard.notes) >= 4)
        scheduler.stop(time.monotonic())
        assert scheduler.join(10)
    assert {tuple(found) for found in heard.notes} == {("receiver",)}


@override_settings(LOCO={"CARRY": ["django_loco.carry.Language"]})
def test_jobs_side_by_side_have_each_the_language_that_they_carry(queue, start):
    languages = ["de", "fr", "en-us", "it"] * 5
    names = ("language", "alanguage")
    asked = [
        (code, job(name, options={CARRY: {"django_loco.carry.Language": code}})) for code in languages for name in names
    ]
    queue.enqueue([one for _, one in asked])
    assert start(drain=True).join(30)
    assert [decode(queue.get(one.id).return_value) for _, one in asked] == [code for code, _ in asked]
