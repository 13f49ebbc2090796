"""A scheduler in the registry of workers, on every queue."""

from __future__ import annotations

import threading
import time

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_loco import jobs
from django_loco.exceptions import InvalidState, QueueUnavailable
from django_loco.queues.workers import Role, WorkerState
from django_loco.scheduler import Registry, Scheduler
from django_loco.scheduler.dispatch import heartbeat
from tests.app.tasks import add

SECONDS = 20.0


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def refuse_all(queue, worker):
    raise QueueUnavailable("it is away")


@pytest.fixture
def scheduler(any_queue):
    """The scheduler of a project with a schedule for it, and one for another scheduler."""
    any_queue.clear()
    registry = Registry(autodiscover=True)
    registry._undiscovered = False
    for tag in ("nightly", "hourly"):
        registry.daily(add, at="04:00", args=[1, 2], name=tag, tags=[tag])
    scheduler = Scheduler(registry, tags=["nightly"])
    yield scheduler
    scheduler.stop(time.monotonic())
    assert scheduler.join(SECONDS)


def test_it_is_registered_while_it_runs(any_queue, scheduler):
    scheduler.start()
    until(jobs.schedulers)
    [known] = jobs.schedulers()
    assert (known.role, known.state, known.tags, known.queues) == (Role.SCHEDULER, "running", ("nightly",), ())
    assert known.schedules == 1
    assert known.is_alive
    assert jobs.workers() == []
    scheduler.quiet()
    until(lambda: jobs.schedulers()[0].state == WorkerState.QUIET)
    scheduler.stop(time.monotonic())
    assert scheduler.join(SECONDS)
    assert jobs.schedulers() == []
    assert "loco-scheduler-heartbeat" not in [thread.name for thread in threading.enumerate()]


def test_it_takes_no_commands_and_no_jobs(any_queue, scheduler):
    scheduler.start()
    until(jobs.schedulers)
    [known] = jobs.schedulers()
    with pytest.raises(InvalidState, match="is a scheduler, which takes no commands"):
        jobs.stop(known.worker_id)
    assert not known.serves("default")


def test_a_queue_that_does_not_answer_is_no_trouble_for_ticks(any_queue, scheduler, monkeypatch, caplog):
    caplog.set_level("INFO", "django_loco")
    is_away = threading.Event()
    is_away.set()
    register, tries = type(any_queue).register, []

    def refuse(queue, worker):
        tries.append(worker)
        if is_away.is_set():
            raise QueueUnavailable("it is away")
        register(queue, worker)

    monkeypatch.setattr(heartbeat, "FIRST_DELAY_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "MAX_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(type(any_queue), "register", refuse)
    scheduler.start()
    until(lambda: len(tries) > 3)
    assert scheduler.health()["alive"]
    is_away.clear()
    until(jobs.schedulers)
    until(lambda: any(" can show that it lives again" in text for text in caplog.messages))
    assert sum("cannot show that it lives" in text for text in caplog.messages) == 1


def test_one_that_ends_before_it_has_noticed_that_the_queue_is_back_is_not_left_behind(
    any_queue, scheduler, monkeypatch, caplog
):
    scheduler.start()
    until(jobs.schedulers)
    with monkeypatch.context() as outage:
        outage.setattr(type(any_queue), "register", refuse_all)
        scheduler.quiet()
        until(lambda: any("cannot show that it lives" in text for text in caplog.messages))
    scheduler.stop(time.monotonic())
    assert scheduler.join(SECONDS)
    assert jobs.schedulers() == []


@pytest.mark.parametrize("error", [QueueUnavailable("gone"), ImproperlyConfigured("gone")], ids=["away", "wrong"])
def test_a_queue_that_cannot_be_asked_at_its_end_is_no_trouble(any_queue, scheduler, monkeypatch, caplog, error):
    caplog.set_level("INFO", "django_loco")

    def refuse(queue, worker_id):
        raise error

    scheduler.start()
    until(jobs.schedulers)
    with monkeypatch.context() as patched:
        patched.setattr(type(any_queue), "unregister", refuse)
        scheduler.stop(time.monotonic())
        assert scheduler.join(SECONDS)
    assert "The scheduler could not take itself off the registry: gone" in caplog.text


def test_one_that_was_killed_is_dead_after_its_lease(any_queue, scheduler, settings):
    settings.LOCO = {"LEASE": 1}
    scheduler.start()
    until(jobs.schedulers)
    [beats] = scheduler._heartbeats
    beats.close = beats._queue.close  # it dies without a word
    beats.end()
    until(lambda: not jobs.schedulers()[0].is_alive)


def test_a_project_whose_jobs_run_inside_enqueue_has_no_registry(any_queue, scheduler, settings):
    settings.WORKER_MODE = "ForegroundBlocking"
    assert heartbeat.heartbeats_for((), int) == []


def test_it_shows_itself_to_every_alias_and_is_one(any_queue, scheduler, settings):
    settings.TASKS = {**settings.TASKS, "other": {**settings.TASKS["default"], "QUEUES": []}}
    scheduler.start()
    until(lambda: all(jobs.schedulers(backend=alias) for alias in settings.TASKS))
    assert len(jobs.schedulers()) == 1
    [known] = jobs.schedulers()
    assert not known.worker_id.endswith("/0")
    assert not known.worker_id.endswith("/1")
    with pytest.raises(InvalidState, match="is a scheduler, which takes no commands"):
        jobs.quiet(known.worker_id)


def test_two_of_the_same_host_process_and_moment_are_told_apart(any_queue, monkeypatch):
    """Containers may have the same host name; in each the scheduler is process 1."""
    any_queue.clear()
    same = heartbeat._info(())
    monkeypatch.setattr(heartbeat, "_info", lambda tags: same)
    for _ in range(2):
        for beats in heartbeat.heartbeats_for((), int):
            beats.turn()
    found = jobs.schedulers()
    assert {(each.host, each.pid, each.started_at) for each in found} == {(same.host, same.pid, same.started_at)}
    assert len({each.worker_id for each in found}) == len(found) == 2


def test_they_are_in_the_same_order_whoever_gave_a_sign_last(any_queue):
    any_queue.clear()
    beats = [each for _ in range(3) for each in heartbeat.heartbeats_for((), int)]
    orders = set()
    for first in beats:
        for each in (first, *beats):
            each.turn()
        orders.add(tuple(each.worker_id for each in jobs.schedulers()))
    assert len(orders) == 1
