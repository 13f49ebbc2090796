"""Schedulers with their threads, on the machine's clock and on real queues."""

import threading
import time
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import connections
from django.test import override_settings

from django_loco.queues import queue_for
from django_loco.scheduler import Registry, Scheduler
from tests.unit.scheduler.tasks import send, tick

SECOND = timedelta(seconds=1)
MEMORY = {
    "default": {
        "BACKEND": "django_loco.backend.LocoBackend",
        "OPTIONS": {"queue": "memory", "mode": "BackgroundQueue"},
    }
}


@pytest.fixture
def registry():
    registry = Registry(strict=True)
    registry.every(tick, seconds=1, name="second")
    return registry


@pytest.fixture
def schedulers(registry):
    started = [Scheduler(registry), Scheduler(registry)]
    yield started
    for scheduler in started:
        scheduler.stop(time.monotonic())
    assert all(scheduler.join(10) for scheduler in started)


@pytest.fixture
def memory():
    with override_settings(TASKS=MEMORY):
        queue_for("default").clear()
        yield
        queue_for("default").clear()


def jobs():
    return sorted(queue_for("default").list(limit=1000), key=lambda job: job.due_at)


def wait_for(count):
    deadline = time.monotonic() + 30
    while len(jobs()) < count:
        assert time.monotonic() < deadline, f"{len(jobs())} jobs of {count}"
        time.sleep(0.05)


def assert_each_tick_once(jobs):
    """Nothing is missing and nothing is twice."""
    ticks = [job.due_at for job in jobs]
    assert ticks == [ticks[0] + number * SECOND for number in range(len(ticks))]
    assert {job.key for job in jobs} == {f"second@{tick.isoformat()}" for tick in ticks}


def test_ticks_are_fired_by_the_clock(memory, schedulers):
    scheduler, _ = schedulers
    scheduler.start()
    scheduler.start()
    assert [thread.name for thread in threading.enumerate()].count("loco-scheduler") == 1
    wait_for(3)
    assert_each_tick_once(jobs())
    assert all(timedelta(0) <= job.enqueued_at - job.due_at < SECOND for job in jobs())
    health = scheduler.health()
    assert (health["alive"], health["schedules"], health["unreachable"]) == (True, 1, [])
    assert health["last_pass_age"] < 5


def test_quiet_ends_the_firing_and_stop_the_thread(memory, schedulers):
    scheduler, _ = schedulers
    scheduler.start()
    wait_for(1)
    scheduler.quiet()
    assert scheduler.is_alive
    scheduler.stop(time.monotonic() + 10)
    assert scheduler.join(10)
    assert not scheduler.is_alive
    count = len(jobs())
    assert scheduler.fire_due() == 1
    assert len(jobs()) == count


def test_one_that_was_not_started_need_not_be_waited_for(schedulers):
    scheduler, _ = schedulers
    assert scheduler.join(0)
    scheduler.stop(time.monotonic())
    assert not scheduler.is_alive


def test_an_error_ends_the_thread_and_is_kept_for_the_supervisor(memory, schedulers, monkeypatch):
    scheduler, _ = schedulers
    error = RuntimeError("no time")
    monkeypatch.setattr(scheduler, "fire_due", Mock(side_effect=error))
    scheduler.start()
    assert scheduler.join(10)
    assert (scheduler.is_alive, scheduler.error) == (False, error)


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_make_one_job_of_each_tick_in_the_database(schedulers):
    for scheduler in schedulers:
        scheduler.start()
    wait_for(4)
    schedulers[0].stop(time.monotonic())
    assert schedulers[0].join(10)
    wait_for(7)
    assert_each_tick_once(jobs())


@pytest.mark.django_db(transaction=True)
def test_jobs_of_ticks_carry_their_arguments(registry, schedulers):
    registry.every(send, seconds=1, args=[5], kwargs={"template": "fancy"}, name="mail")
    schedulers[0].start()
    wait_for(2)
    mail = next(job for job in jobs() if job.key and job.key.startswith("mail@"))
    assert mail.arguments == '[[5],{"template":"fancy"}]'
    assert mail.task_path == send.module_path


@pytest.mark.django_db(transaction=True)
def test_the_thread_lets_go_of_its_connections(schedulers, monkeypatch):
    closed = threading.Event()
    close_all = connections.close_all

    def closing():
        if threading.current_thread().name == "loco-scheduler":
            closed.set()
        close_all()

    monkeypatch.setattr(connections, "close_all", closing)
    schedulers[0].start()
    wait_for(1)
    schedulers[0].stop(time.monotonic())
    assert closed.wait(10)
