"""The dashboard's page of workers, on every queue."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_loco.core.job import Job, utcnow
from django_loco.dashboard.pages.workers import page
from django_loco.exceptions import QueueUnavailable
from django_loco.jobs.control.workers import ask_stacks
from django_loco.queues import queue_for
from django_loco.queues.workers import WorkerInfo, split_command
from django_loco.worker import in_process
from tests.integration.admin.conftest import client_of, text
from tests.integration.jobs.conftest import SECONDS
from tests.unit.worker.support import wait_until

from .conftest import require_no_inline

pytestmark = pytest.mark.django_db
PAGE, TELL = "/jobs/workers/", "/jobs/workers/tell"
PARTS = {"Accept": "application/json"}
HOSTILE = 'w-"><script>alert(1)</script>\n\u202e'


@pytest.fixture(autouse=True)
def nothing_known():
    page.workers.forget()


def worker(**given):
    described = {"worker_id": "host:1:ab", "host": "web-1", "pid": 4711, "queues": None, "tags": None, "threads": 8}
    described |= {"coroutines": 0, "lease": 30.0, "started_at": utcnow(), "busy": 2, "role": "worker"}
    return WorkerInfo(**described | {"memory": 200 * 1024 * 1024, "release": "r7"} | given)


def scheduler(number=0, scheduler_id="app:1:cd", **given):
    """The entry of a scheduler in one alias; it has one in each."""
    described = {"role": "scheduler", "queues": (), "threads": 0, "busy": 0, "host": "app", "pid": 1, "schedules": 12}
    return worker(worker_id=f"{scheduler_id}/{number}", **described | given)


def value(worker_id="host:1:ab"):
    return json.dumps(["default", worker_id])


def test_nothing_yet(client, queue):
    shown = text(client.get(PAGE))
    assert "No worker is registered." in shown
    assert (
        "0 schedulers are alive No scheduler is registered. Start one: manage.py loco_scheduler , or "
        "loco_start --scheduler ."
    ) in shown


def test_a_worker_is_shown_with_what_it_runs(client, queue, stored):
    stored("waiting")
    queue.register(worker(queues=("emails",), tags=("a",)))
    shown = text(client.get(PAGE))
    assert "1 worker is alive 2 of 8 busy" in shown
    assert "host:1:ab web-1, process 4711, default, release r7" in shown
    assert "alive since" in shown
    assert "2 of 8 200 MB emails tags a" in shown
    assert "1 job waits in the queue default, and no worker takes it." in shown
    assert '<a href="/jobs/workers/" aria-current="page">Workers</a>' in client.get(PAGE).content.decode()


def test_a_scheduler_is_shown_apart_from_workers(client, queue):
    queue.register(scheduler(tags=("a", "b")))
    queue_for("bulk").register(scheduler(1))
    shown = text(client.get(PAGE))
    assert "0 workers are alive No worker is registered." in shown
    assert "1 scheduler is alive Scheduler State Heartbeat Schedules app:1:cd app, process 1, release r7" in shown
    assert re.search(r"alive since \w+ [\d:]+ \w+ [\d:]+ 12", shown)
    content = client.get(PAGE).content.decode()
    assert '<tr id="scheduler-app:1:cd">' in content
    [started, heartbeat] = re.findall(r'<time datetime="([^"]*)"', content.partition('id="scheduler-')[2])
    assert started != heartbeat
    assert abs((datetime.fromisoformat(heartbeat) - utcnow()).total_seconds()) < 30
    require_no_inline(content)


@pytest.mark.parametrize(("given", "word"), [({"lease": -1.0}, "silent for 0 s"), ({"state": "quiet"}, "quiet")])
def test_a_scheduler_that_fires_nothing_is_shown_as_such(client, queue, given, word):
    queue.register(scheduler(**given))
    assert re.search(rf"{word} since \w+ [\d:]+", text(client.get(PAGE)))


def test_of_many_schedulers_some_are_left_out(client, queue):
    for number in range(103):
        queue.register(scheduler(scheduler_id=f"app:{number}"))
    shown = text(client.get(PAGE))
    assert "103 schedulers are alive" in shown
    assert "3 schedulers are left out." in shown


def test_its_running_jobs_are_named(client, queue, stored):
    job = stored("running")
    queue.register(worker(worker_id=job.worker_id))
    assert "add" in text(client.get(PAGE))
    assert job.id in client.get(PAGE).content.decode()


@pytest.mark.parametrize(("name", "command"), [("quiet", "quiet"), ("unquiet", ""), ("stop", "stop")])
def test_a_button_tells_the_worker_and_the_history_says_who(client, queue, name, command):
    queue.register(worker())
    queue.command("host:1:ab", "quiet")
    answer = client.post(TELL, {name: value(), "back": PAGE})
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    assert queue.command_of("host:1:ab") == command
    [entry] = LogEntry.objects.all()
    assert entry.object_repr == "default: host:1:ab"
    assert entry.change_message.startswith("Told to")


def test_stacks_are_asked_for_and_shown(client, queue):
    queue.register(worker())
    queue.command("host:1:ab", "quiet")
    assert client.post(TELL, {"stacks": value()}).status_code == 302
    first = queue.command_of("host:1:ab")
    assert split_command(first)[0] == "quiet"
    client.post(TELL, {"stacks": value()})
    assert split_command(queue.command_of("host:1:ab")) == ("quiet", split_command(queue.command_of("host:1:ab"))[1])
    assert queue.command_of("host:1:ab") != first
    queue.register(worker().beating(2, stacks="Thread main\n  <b> & " + "x" * 64_000))
    part = client.get(PAGE, headers=PARTS).json()["list"]
    assert "Thread main\n  &lt;b&gt; &amp; xx" in part
    assert "Thread main" not in client_of("view_worker").get(PAGE).content.decode()
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Told to show its stacks."] * 2


@pytest.mark.django_db(transaction=True)
def test_a_worker_shows_its_stacks(queue):
    told = in_process.worker_for("default", threads=1, coroutines=1)
    told.start()
    try:
        wait_until(queue.workers, SECONDS)
        ask_stacks(told.worker_id)
        wait_until(lambda: queue.workers()[0].stacks, SECONDS)
        assert "Thread loco-worker-fetcher" in queue.workers()[0].stacks
    finally:
        told.stop(time.monotonic() + SECONDS)
        assert told.join(SECONDS)


@pytest.mark.parametrize("permissions", [("view_worker",), ("view_job", "control_worker"), ("view_worker", "view_job")])
def test_who_may_not_control_workers_cannot(queue, permissions):
    queue.register(worker())
    browser = client_of(*permissions)
    if "view_worker" in permissions:
        assert b"<button" not in browser.get(PAGE).content
    assert browser.post(TELL, {"stop": value()}).status_code == 403
    assert queue.command_of("host:1:ab") == ""
    assert not LogEntry.objects.exists()


def test_with_the_permission_there_are_buttons(queue):
    queue.register(worker())
    browser = client_of("view_worker", "control_worker")
    assert "Quiet Stop" in text(browser.get(PAGE))
    assert browser.post(TELL, {"quiet": value()}).status_code == 302
    queue.register(worker(state="quiet"))
    assert "quiet since" in text(browser.get(PAGE))
    assert 'name="unquiet"' in browser.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, 400),
        ({"dance": '["default", "host:1:ab"]'}, 400),
        ({"stop": ""}, 400),
        ({"stop": "[]"}, 400),
        ({"stop": "1"}, 400),
        ({"stop": "[" * 100_000}, 400),
        ({"quiet": f'["default", {"[" * 900}{"]" * 900}]'}, 400),
        ({"stop": '["nowhere", "host:1:ab"]'}, 400),
        ({"stop": '["default", "nobody"]'}, 400),
        ({"stop": '["default", "dead"]'}, 409),
        ({"stop": '["default", "site"]'}, 409),
    ],
)
def test_what_cannot_be_done_is_said(client, queue, data, status):
    for info in (worker(), worker(worker_id="dead", lease=-1.0), worker(worker_id="site", role="shared")):
        queue.register(info)
    answer = client.post(TELL, data)
    assert answer.status_code == status
    assert '<section class="card sentence">' in answer.content.decode()
    assert '<a href="/jobs/workers/">Go back</a>' in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_a_post_needs_the_token(queue):
    queue.register(worker())
    browser = client_of(is_superuser=True)
    browser.handler.enforce_csrf_checks = True
    assert browser.post(TELL, {"stop": value()}).status_code == 403
    assert queue.command_of("host:1:ab") == ""


def test_hostile_texts_are_escaped(client, queue):
    queue.register(worker(worker_id=HOSTILE, host=HOSTILE, queues=(HOSTILE,), tags=(HOSTILE,), release=HOSTILE))
    queue.register(scheduler(scheduler_id=HOSTILE, host=HOSTILE, tags=(HOSTILE,), release=HOSTILE, schedules=HOSTILE))
    content = client.get(PAGE).content.decode()
    assert content.count("alert(1)") > 10
    assert "<script>alert" not in content
    assert "style=" not in content
    assert client.post(TELL, {"quiet": value(HOSTILE)}).status_code == 302
    assert queue.command_of(HOSTILE) == "quiet"


def test_a_store_that_is_away(client, queue, monkeypatch):
    queue.register(worker())
    client.get(PAGE)

    def away(*_args, **_options):
        raise QueueUnavailable("The store <b> is away.")

    monkeypatch.setattr(type(queue), "workers", away)
    shown = text(client.get(PAGE), 503)
    assert "You see what was last known." in shown
    assert "host:1:ab" in shown
    assert client.get(PAGE, headers=PARTS).status_code == 503
    assert client.post(TELL, {"quiet": value()}).status_code == 503


def test_what_has_not_changed_is_not_sent_again_and_takes_few_queries(client, queue):
    # Heartbeats are shown to the second, and known to some milliseconds: here they are in the same part of a second.
    time.sleep(1.1 - time.time() % 1)
    for number in range(30):
        queue.register(worker(worker_id=f"host:{number}"))
        queue.register(scheduler(scheduler_id=f"app:{number}"))
    first = client.get(PAGE, headers=PARTS)
    with CaptureQueriesContext(connection) as queries:
        again = client.get(PAGE, headers={**PARTS, "If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert len(queries) <= 16, "of two aliases"


def test_of_many_queues_without_a_worker_some_are_named(client, queue):
    names = [f"queue/{number}" for number in range(50)]
    queue.enqueue([Job(task_path="a.b", backend="default", arguments="[[], {}]", queue_name=name) for name in names])
    shown = text(client.get(PAGE))
    assert shown.count("and no worker takes it.") == 10
    assert "Nor does any take the jobs of 40 other queues." in shown
