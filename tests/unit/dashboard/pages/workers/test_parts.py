"""What the page of workers says of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from django_loco.core.job import utcnow
from django_loco.dashboard.pages.workers.facts import WorkersRead
from django_loco.dashboard.pages.workers.parts import parts_of
from django_loco.jobs import AliasWorker
from django_loco.jobs.page_parts.scope import SHOWN_WORKERS


def worker(**given):
    fields = {
        "backend": "default", "worker_id": "w", "host": "h", "pid": 1, "queues": None, "tags": None, "threads": 8,
        "coroutines": 0, "lease": 30.0, "started_at": utcnow(), "role": "worker", "busy": 2,
    }  # fmt: skip
    return AliasWorker(**fields | given)


def read_of(workers=(), schedulers=()):
    return WorkersRead(at=utcnow(), workers=workers, running={}, unserved=[], schedulers=schedulers)


def row(*, may_control=True, **given):
    read = read_of([worker(**given)])
    [found] = parts_of(read, may_control=may_control)["list"]["rows"]
    return found


@pytest.mark.parametrize(
    ("fields", "buttons"),
    [
        ({}, ["quiet", "stop"]),
        ({"role": "shared"}, ["quiet"]),
        ({"state": "quiet"}, ["resume", "stop"]),
        ({"state": "stopping"}, []),
        ({"role": "isolated"}, []),
        ({"role": ""}, []),
        ({"heartbeat_age": 31.0}, []),
        ({"may_control": False}, []),
    ],
)
def test_there_are_only_buttons_that_would_be_obeyed(fields, buttons):
    found = row(**fields)
    assert [name for name in ("quiet", "resume", "stop") if found[f"may_{name}"]] == buttons


def test_a_heartbeat_that_is_late_is_seen_before_the_worker_is_dead():
    assert (row(heartbeat_age=5.0)["state"], row(heartbeat_age=5.0)["is_late"]) == ("running", False)
    assert (row(heartbeat_age=22.0)["state"], row(heartbeat_age=22.0)["is_late"]) == ("running", True)
    assert (row(heartbeat_age=31.0)["state"], row(heartbeat_age=31.0)["is_late"]) == ("dead", False)
    assert row(state="dancing")["state"] == "running"


def test_a_meter_is_never_wider_than_full():
    assert [row(busy=busy)["busy_width"] for busy in (0, 2, 80)] == [0, 25, 100]
    assert row(threads=0)["busy_width"] == 0


def test_of_many_workers_some_are_shown_and_all_count():
    workers = [worker(worker_id=str(number)) for number in range(SHOWN_WORKERS + 2)]
    context = parts_of(read_of(workers), may_control=True)["list"]
    assert (len(context["rows"]), context["more"], context["alive"]) == (SHOWN_WORKERS, 2, SHOWN_WORKERS + 2)


def test_dead_workers_do_not_count():
    read = read_of([worker(), worker(worker_id="x", heartbeat_age=99.0)])
    context = parts_of(read, may_control=True)["list"]
    assert (context["alive"], context["busy"], context["slots"]) == (1, 2, 8)


def test_a_scheduler_that_beats_no_more_has_the_same_row_while_its_silence_grows():
    read = read_of(schedulers=[worker(worker_id="app:1:cd", role="scheduler", heartbeat_age=10.25)])
    later = replace(
        read, at=read.at + timedelta(seconds=2), schedulers=[replace(read.schedulers[0], heartbeat_age=12.25)]
    )
    [first], [second] = (parts_of(each, may_control=True)["schedulers"]["rows"] for each in (read, later))
    assert first["heartbeat_at"] == second["heartbeat_at"]
    assert first["heartbeat_at"].microsecond == 0
