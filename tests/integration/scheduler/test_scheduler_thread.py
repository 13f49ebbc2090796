"""Schedulers with their threads, on the machine's clock and on real queues."""

import threading
import time
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import connections
from django.test import override_settings

from django_loco.core.job import SUCCESSFUL, Outcome
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim, queue_for
from django_loco.scheduler import Registry, Scheduler
from django_loco.scheduler.dispatch import alias_scheduler
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


@pytest.fixture
def hanging(monkeypatch):
    """Four aliases, of which three hang from ``set`` on until the end of the test; return the event, and who waits."""
    aliases = dict.fromkeys(("default", "one", "two", "three"), MEMORY["default"])
    hangs, is_back, waiting = threading.Event(), threading.Event(), []
    with override_settings(TASKS=aliases):
        for alias in aliases:
            queue = queue_for(alias)
            queue.clear()
            for name in ("enqueue", "series", "answers") if alias != "default" else ():
                call = getattr(queue, name)

                def wait(*given, alias=alias, call=call, **options):
                    if hangs.is_set() and not is_back.is_set():
                        waiting.append(alias)
                        is_back.wait(30)
                        raise QueueUnavailable("it hung")
                    return call(*given, **options)

                monkeypatch.setattr(queue, name, wait)
        yield hangs, waiting, is_back
        is_back.set()
        for alias in aliases:
            queue_for(alias).clear()


def of(name, alias):
    return sorted((job for job in queue_for(alias).list(limit=1000) if job.series == name), key=lambda job: job.due_at)


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stores_that_hang_delay_no_tick_of_the_others_and_lose_none(registry, schedulers, hanging):
    hangs, waiting, is_back = hanging
    registry.every(tick.using(backend="one"), seconds=1, name="slow")
    registry.every(tick.using(backend="two"), seconds=1, name="skips", overlap="skip")
    registry.every(tick.using(backend="three"), days=1, name="first")
    registry.after("first", tick, name="then")
    scheduler, _ = schedulers
    scheduler.start()
    until(lambda: of("slow", "one") and of("skips", "two"))
    hangs.set()
    until(lambda: {*waiting} == {"one", "two", "three"})
    count = len(jobs())
    wait_for(count + 4)
    assert all(timedelta(0) <= job.enqueued_at - job.due_at < SECOND for job in jobs())
    assert_each_tick_once(jobs())
    number = len(of("slow", "one"))
    is_back.set()
    until(lambda: len(of("slow", "one")) > number + 4)
    ticks = [job.due_at for job in of("slow", "one")]
    assert ticks == [ticks[0] + place * SECOND for place in range(len(ticks))]
    assert scheduler.health()["stuck"] is False


def test_a_schedule_follows_one_with_jobs_in_another_alias(registry, schedulers, hanging):
    registry.every(tick.using(backend="one"), seconds=1, name="first")
    registry.after("first", tick.using(backend="two"), name="then")
    scheduler, _ = schedulers
    scheduler.start()
    until(lambda: of("first", "one"))
    [job] = queue_for("one").fetch(Claim(worker_id="w", lease=60, threads=1))
    queue_for("one").finish([Outcome(job=job, status=SUCCESSFUL)])
    until(lambda: of("then", "two"))
    assert [each.key.partition("@")[2] for each in of("then", "two")] == [job.key.partition("@")[2]]


def test_an_error_in_the_thread_of_an_alias_ends_the_scheduler(registry, schedulers, hanging, monkeypatch):
    registry.every(tick.using(backend="one"), seconds=1, name="there")
    scheduler, _ = schedulers
    error = RuntimeError("no time")
    monkeypatch.setattr(alias_scheduler.AliasScheduler, "fire_due", Mock(side_effect=error))
    scheduler.start()
    assert scheduler.join(10)
    assert (scheduler.is_alive, scheduler.error) == (False, error)


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
