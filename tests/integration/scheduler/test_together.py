"""Ticks that are due at once go into a queue together; what is wrong with one of them costs no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from django_loco.exceptions import QueueRefused, QueueUnavailable
from django_loco.queues import queue_for
from django_loco.queues.memory import MemoryQueue
from django_loco.scheduler import Registry, Scheduler
from django_loco.tasks.enqueueing.new_job import new_job
from tests.unit.scheduler.tasks import send, tick, tock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
COUNT = 20


class CountingQueue(MemoryQueue):
    """Remembers how many jobs came at once."""

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.sizes = []
        self.failure = None
        self.refused = None
        self.refusal = QueueUnavailable("too large for it")

    def enqueue(self, jobs):
        self.sizes.append(len(jobs))
        if self.failure:
            raise self.failure
        if any(f"[{self.refused}]" in job.arguments for job in jobs):
            raise self.refusal
        return super().enqueue(jobs)

    def renew(self, jobs, lease):
        if self.failure:
            raise self.failure
        return super().renew(jobs, lease)


def backend(**options):
    options = {"queue": f"{__name__}.CountingQueue", "mode": "BackgroundQueue"} | options
    return {"BACKEND": "django_loco.backend.LocoBackend", "QUEUES": [], "OPTIONS": options}


@pytest.fixture
def queues():
    with override_settings(TASKS={"default": backend(), "other": backend(), "small": backend(max_waiting=3)}):
        yield queue_for


@pytest.fixture
def registry():
    registry = Registry(strict=True)
    for number in range(COUNT):
        registry.every(send, seconds=1, args=[number], name=f"send {number}")
    return registry


class Clock:
    def __init__(self):
        self.now = NOON + SECOND / 2

    def __call__(self):
        return self.now


def begun(registry, clock):
    scheduler = Scheduler(registry, now=clock)
    scheduler.load()
    clock.now = NOON + SECOND
    scheduler.fire_due()
    return scheduler


def arguments(queue):
    return sorted(int(job.arguments.strip("[]").partition("]")[0]) for job in queue.list(limit=1000))


def test_one_call_for_each_alias(registry, queues):
    registry.every(tock.using(backend="other"), seconds=1, name="there")
    begun(registry, Clock())
    assert (queues("default").sizes, queues("other").sizes) == ([COUNT], [1])
    assert arguments(queues("default")) == list(range(COUNT))
    assert {job.due_at for job in queues("default").list()} == {NOON + SECOND}


def test_what_another_scheduler_has_fired_is_not_fired_again(registry, queues, caplog):
    caplog.set_level("DEBUG", "django_loco.scheduler")
    one, other = (Scheduler(registry, now=clock) for clock in [Clock()] for _ in range(2))
    for scheduler in (one, other):
        scheduler.load()
        scheduler._now.now = NOON + SECOND / 2
    one._now.now = NOON + SECOND
    one.fire_due()
    other.fire_due()
    assert queues("default").sizes == [COUNT, COUNT]
    assert len(queues("default").list()) == COUNT
    assert (caplog.text.count(": fired the tick"), caplog.text.count("another scheduler fired")) == (COUNT, COUNT)


def test_all_wait_while_the_store_is_away_and_none_is_lost(registry, queues):
    queue, clock = queues("default"), Clock()
    queue.failure = QueueUnavailable("away")
    scheduler = begun(registry, clock)
    assert queue.sizes == [COUNT], "asked once, not once for each"
    assert scheduler.health()["unreachable"] == ["default"]
    queue.failure = None
    clock.now += SECOND
    scheduler.fire_due()
    assert arguments(queue) == sorted([*range(COUNT), *range(COUNT)])
    assert scheduler.health()["unreachable"] == []


def test_one_that_the_store_refuses_costs_no_other(registry, queues, caplog):
    queue, clock = queues("default"), Clock()
    queue.refused = 7
    scheduler = begun(registry, clock)
    assert arguments(queue) == [number for number in range(COUNT) if number != 7]
    assert len(queue.sizes) < 12
    assert scheduler.health()["unreachable"] == []
    assert "Schedule 'send 7': the tick of 2026-11-21 12:00:01+00:00 was not stored" in caplog.text
    queue.refused = None
    clock.now += 10 * SECOND
    scheduler.fire_due()
    assert {job.due_at for job in queue.list(limit=1000) if "[7]" in job.arguments} >= {NOON + SECOND}


def test_one_that_the_store_calls_wrong_is_left_out(registry, queues, caplog):
    queue = queues("default")
    queue.refused, queue.refusal = 7, QueueRefused("value too long")
    scheduler = begun(registry, Clock())
    assert arguments(queue) == [number for number in range(COUNT) if number != 7]
    assert scheduler.health()["unreachable"] == []
    assert "Schedule 'send 7': the tick of 2026-11-21 12:00:01+00:00 could not be enqueued" in caplog.text


def test_one_that_cannot_be_enqueued_costs_no_other(registry, queues, monkeypatch, caplog):
    def failing(task, alias, args, kwargs):
        if args == [7]:
            raise RuntimeError("no such thing")
        return new_job(task, alias, args, kwargs)

    monkeypatch.setattr("django_loco.tasks.enqueueing.tick_jobs.new_job", failing)
    begun(registry, Clock())
    assert arguments(queues("default")) == [number for number in range(COUNT) if number != 7]
    assert "Schedule 'send 7': the tick of 2026-11-21 12:00:01+00:00 could not be enqueued" in caplog.text
    assert caplog.text.count("could not be enqueued") == 1


def test_a_queue_with_little_room_takes_what_it_has_room_for(queues):
    registry = Registry(strict=True)
    for number in range(5):
        registry.every(tick.using(backend="small"), seconds=1, name=f"tick {number}")
    scheduler = begun(registry, Clock())
    assert len(queues("small").list()) == 3
    assert scheduler.health()["unreachable"] == ["small"]
