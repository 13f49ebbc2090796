"""Schedules that run after others: with schedulers, workers and queues as they are in production."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from django_loco import jobs, scheduler
from django_loco.core.job import Job, JobSummary
from django_loco.queues import Queue, queue_for
from django_loco.scheduler import Registry, Scheduler
from django_loco.scheduler.dispatch import dependents
from django_loco.worker.in_process import worker_for
from tests.app.tasks import add, echo, fail


@pytest.fixture
def registry(own_schedules: Registry) -> Registry:
    """A chain of three, and what depends on a failure. The first of them run by hand only, whatever time it is."""
    own_schedules.once(add, at="2099-12-24 04:00", args=[1, 2], name="nightly")
    own_schedules.after("nightly", echo, name="mail", args=["mail"])
    own_schedules.after("mail", echo, name="filed", args=["filed"])
    own_schedules.once(fail, at="2099-12-24 04:00", name="broken")
    own_schedules.after("broken", echo, name="never")
    return own_schedules


@pytest.fixture
def running(registry: Registry, any_queue: Queue) -> Iterator[None]:
    """Two schedulers and a worker."""
    schedulers = [Scheduler(registry), Scheduler(registry)]
    parts = [*schedulers, worker_for("default")]
    for part in parts:
        part.start()
    # Jobs that have ended before a scheduler's first look count as missed, and are not all followed.
    wait_for(lambda: all(map(has_polled, schedulers)))
    yield
    for part in reversed(parts):
        part.stop(time.monotonic() + 10)
    assert all(part.join(20) for part in parts)


def has_polled(scheduler: Scheduler) -> bool:
    upstreams = scheduler._by_alias["default"].dispatcher.dependents._upstreams
    return len(upstreams) == 3 and all(upstream.polled_at for upstream in tuple(upstreams.values()))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def members(name: str) -> list[str]:
    return [member(job) for job in queue_for("default").series(name)]


def member(job: Job | JobSummary) -> str:
    return str(job.key).rpartition("@")[2]


def test_each_run_is_followed_once(registry: Registry, running: None) -> None:
    for _ in range(3):
        scheduler.run("nightly")
    scheduler.run("broken")
    wait_for(lambda: len(members("filed")) == 3)
    assert sorted(members("nightly")) == sorted(members("mail")) == sorted(members("filed"))
    scheduler.run("mail")
    wait_for(lambda: len(members("filed")) == 4)
    assert len(members("nightly")) == 3
    wait_for(lambda: [job.status.name for job in queue_for("default").series("broken")] == ["FAILED"])
    assert members("never") == []


def test_what_has_ended_while_no_scheduler_ran(registry: Registry, any_queue: Queue) -> None:
    scheduler.run("nightly")
    work_off()
    started = [Scheduler(registry), Scheduler(registry)]
    for made in started:
        made.load()
        made.fire_due()
    assert members("mail") == members("nightly")
    work_off()
    wait_for(lambda: all(made.fire_due() for made in started) and bool(members("filed")))
    assert members("filed") == members("nightly")


def test_all_are_followed_that_succeed_when_they_are_retried(
    registry: Registry, any_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependents, "MIN_JOBS", 2)
    monkeypatch.setattr(dependents, "LOOK_BACK_POLLS", 2)
    started = [Scheduler(registry), Scheduler(registry)]
    for made in started:
        made.start()
    try:
        wait_for(lambda: all(map(has_polled, started)))
        with monkeypatch.context() as outage:
            outage.setattr("tests.app.tasks.ran", None)
            for _ in range(10):
                scheduler.run("nightly")
            work_off()
        upstreams = [made._by_alias["default"].dispatcher.dependents._upstreams["nightly"] for made in started]
        wait_for(lambda: all(len(each.settled) == 10 and each.limit == 2 for each in upstreams))
        assert jobs.filter("schedule:nightly status:failed").retry() == 10
        work_off()
        wait_for(lambda: len(members("mail")) == 10)
        assert sorted(members("mail")) == sorted(members("nightly"))
    finally:
        for made in started:
            made.stop(time.monotonic() + 10)
            assert made.join(20)


def work_off() -> None:
    worker = worker_for("default", drain=True)
    worker.start()
    assert worker.join(30)


@pytest.mark.django_db(transaction=True)
def test_how_it_is_shown(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("loco_scheduler", "--list")
    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "after nightly when a run of nightly has succeeded" in " ".join(lines["mail"].split())
    assert "never again" not in lines["mail"]
    call_command("loco_scheduler", "--list", "--format", "json")
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["mail"]["after"], rows["mail"]["next_runs"], rows["nightly"]["after"]) == ("nightly", [], None)
    call_command("loco_scheduler", "--preview", "48h")
    assert "mail" not in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)
def test_the_history_of_what_runs_after(registry: Registry) -> None:
    entry, due = registry.entry("mail"), datetime(2026, 11, 20, 4, tzinfo=UTC)
    key = entry.occurrence_after(due.isoformat(), due).key
    backend: Any = echo.get_backend()
    backend.enqueue_tick(echo, [], {}, key=key, tick=due)
    (tick,) = scheduler.history("mail")
    assert (tick.due, tick.tick, tick.late) == (due, "2026-11-20T04:00:00+00:00", None)


@pytest.mark.django_db(transaction=True)
def test_check_names_what_leads_nowhere(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    registry.after("nigthly", echo, name="lost")
    with pytest.raises(CommandError, match="1 schedule is wrong and off; the others run"):
        call_command("loco_scheduler", "--check")
    told = capsys.readouterr().err
    assert "Schedule 'lost': after is 'nigthly', which is not a schedule. Did you mean 'nightly'?" in told
    assert f"Correct it at {__file__}:" in told
