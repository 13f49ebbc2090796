"""Overlap, on each queue, with schedulers whose clock stands still until the test moves it."""

from datetime import UTC, datetime, timedelta

import pytest

from django_loco.core.job import READY, SUCCESSFUL, Outcome
from django_loco.queues import Claim
from django_loco.scheduler import Registry, Scheduler
from tests.unit.scheduler.tasks import tick

#: Past, so that the jobs are due; and far enough behind a tick that it does not count as just missed.
START = datetime(2026, 11, 20, 12, 0, 6, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Clock:
    now = START

    def __call__(self):
        return self.now

    def seconds(self):
        return (self.now - START).total_seconds()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def registry():
    return Registry(strict=True)


@pytest.fixture
def two(registry, clock):
    """Starts two schedulers, and lets time go by."""
    schedulers = []

    def go(seconds):
        if not schedulers:
            schedulers.extend(Scheduler(registry, now=clock) for _ in range(2))
            for scheduler in schedulers:
                scheduler.load()
        for _ in range(seconds * 2):
            clock.now += SECOND / 2
            for scheduler in schedulers:
                scheduler.fire_due()

    return go


def begin(queue):
    return queue.fetch(Claim(worker_id="w", lease=30, threads=10))


def end(queue, jobs):
    assert queue.finish([Outcome(job=job, status=SUCCESSFUL) for job in jobs]) == set()


def times(queue):
    return sorted(str(job.key)[-14:-6] for job in queue.series("beat"))


def test_skip(any_queue, registry, two):
    registry.every(tick, seconds=10, name="beat", overlap="skip")
    two(6)
    held = begin(any_queue)
    assert len(held) == 1
    two(30)
    assert times(any_queue) == ["12:00:10"]
    end(any_queue, held)
    two(10)
    assert times(any_queue) == ["12:00:10", "12:00:50"]


def test_queue(any_queue, registry, two):
    registry.every(tick, seconds=10, name="beat", overlap="queue")
    two(6)
    held = begin(any_queue)
    two(20)
    assert times(any_queue) == ["12:00:10"]
    for count in (2, 3):
        end(any_queue, held)
        two(3)
        assert len(any_queue.list(status=READY)) == 1
        held = begin(any_queue)
        assert len(times(any_queue)) == count
    assert times(any_queue) == ["12:00:10", "12:00:20", "12:00:30"]


def test_a_run_by_hand(any_queue, registry, two):
    registry.every(tick, seconds=10, name="beat", overlap="skip")
    registry.run("beat")
    two(30)
    assert len(any_queue.series("beat")) == 1
