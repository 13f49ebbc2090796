"""The page of workers and queues, on every queue."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from django_loco import jobs
from django_loco.admin.jobs import worker_page
from django_loco.core.job import utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import queue_for
from django_loco.queues.workers import WorkerInfo
from django_loco.scheduler.api import operating

from .conftest import JOBS, WORKERS, text

pytestmark = pytest.mark.django_db


def worker(**given):
    described = {
        "worker_id": "worker-1",
        "host": "web-1",
        "pid": 4711,
        "queues": None,
        "tags": None,
        "threads": 8,
        "coroutines": 100,
        "lease": 30.0,
        "started_at": utcnow(),
        "busy": 1,
    }
    return WorkerInfo(**described | given)


def test_workers_are_shown_with_what_they_run(client, queue, stored):
    job = stored("running")
    queue.register(worker())
    queue.register(worker(worker_id="worker-2", queues=("emails",), tags=(), busy=0))
    page = client.get(WORKERS)
    shown = text(page)
    described = r"worker-1 web-1, process 4711, default alive all any 1 of 8 threads, 100 coroutines \d s ago add all"
    assert re.search(described, shown)
    assert "worker-2 web-1, process 4711, default alive emails none 0 of 8 threads" in shown
    queue.register(worker(worker_id="worker-2", state="quiet"))
    assert "worker-2 web-1, process 4711, default quiet all" in text(client.get(WORKERS))
    assert f'href="/admin/django_loco/locojob/{job.id}/change/"' in page.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", [WORKERS, f"{JOBS}operate/", "/admin/django_loco/schedule/all/"])
def test_a_refusal_by_a_store_does_not_break_the_transaction_of_the_request(client, queue, monkeypatch, address):
    """With ``ATOMIC_REQUESTS``: a statement that fails makes a database refuse all further ones of a transaction."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    answers = []

    def refused(*_args, **_named):
        answers.append(connection.in_atomic_block)
        raise QueueUnavailable("The store is away.")

    for each in ("pause", "resume", "get"):
        monkeypatch.setattr(type(queue), each, refused)
    monkeypatch.setattr(operating, "resume", refused)
    form = {"queue": "emails", "operation": "retry", "job": "0" * 32, "resume": "nightly"}
    assert "The store is away." in text(client.post(address, form, follow=True))
    assert answers
    assert not any(answers)


def test_a_dead_worker_is_shown_as_one(client, queue):
    queue.register(worker(lease=-1.0))
    assert "dead" in text(client.get(WORKERS))


def test_schedulers_are_shown_apart_from_workers(client, queue):
    described = {"role": "scheduler", "queues": (), "threads": 0, "coroutines": 0, "schedules": 12}
    for alias, number in (("default", 0), ("bulk", 1)):
        queue_for(alias).register(worker(worker_id=f"app:1:cd/{number}", host="app", pid=1, **described))
    shown = text(client.get(WORKERS))
    headings = "Schedulers Scheduler State Schedules Tags Started Heartbeat"
    assert re.search(rf"{headings} app:1:cd app, process 1 alive 12 any [\d:. -]+ \d s ago Queues", shown)
    assert "No worker is registered." in shown
    queue.register(worker(worker_id="<script>a/0", host="<b>", tags=("<script>",), lease=-1.0, **described))
    assert re.search(r"<script>a <b>, process 4711 dead 12 <script>", text(client.get(WORKERS)))
    assert "<script>a" not in client.get(WORKERS).content.decode()


def test_queues_are_shown_with_their_numbers(client, queue, stored):
    for state in ("waiting", "scheduled", "running", "failed", "cancelled", "done"):
        stored(state)
    stored("done", queue_name="emails")
    jobs.pause(queue="emails", backend="default")
    shown = text(client.get(WORKERS))
    assert re.search(r"default default 2 1 2 1 \d s open", shown)
    assert "emails default 0 0 0 1 - paused" in shown


@pytest.mark.parametrize(("kind", "name"), [("task", "tests.app.tasks.add"), ("tag", "a <b> tag")])
def test_a_task_or_a_tag_is_paused_and_resumed(client, queue, kind, name):
    assert "No task or tag is paused." in text(client.get(WORKERS))
    answer = client.post(WORKERS, {kind: name, "pauses": "yes"}, follow=True)
    assert f"The {kind} {name!r} is paused. Jobs that run go on." in text(answer)
    assert jobs.paused(kind) == {"default": [name], "bulk": [name]}
    assert f"{name} {kind.capitalize()} default Resume" in text(client.get(WORKERS))
    assert "<b>" not in client.get(WORKERS).content.decode()
    answer = client.post(WORKERS, {kind: name, "alias": "bulk", "pauses": ""}, follow=True)
    assert f"The {kind} {name!r} is resumed." in text(answer)
    assert jobs.paused(kind) == {"default": [name]}
    assert sorted(LogEntry.objects.values_list("object_repr", "change_message")) == [
        (f"bulk: {kind} {name}", "Resumed."),
        (f"{kind} {name}", "Paused."),
    ]


def test_a_misspelt_task_is_not_paused(client, queue):
    answer = client.post(WORKERS, {"task": "tests.app.tasks.ad", "pauses": "yes"}, follow=True)
    assert "Did you mean 'tests.app.tasks.add'?" in text(answer)
    assert jobs.paused("task") == {}


def test_nothing_yet(client, queue):
    shown = text(client.get(WORKERS))
    assert "No worker is registered. Start one: manage.py loco_worker" in shown
    assert "No scheduler is registered. Start one: manage.py loco_scheduler" in shown
    assert "There are no jobs." in shown


def test_names_are_no_markup(client, queue):
    queue.register(worker(worker_id="<script>a", host="<b>", queues=("<i>x/y.z",), tags=("<script>",)))
    content = client.get(WORKERS).content.decode()
    assert "<script>a" not in content
    assert "<i>x" not in content


def test_of_many_workers_and_queues_some_are_shown_until_all_are_asked_for(client, queue, stored, monkeypatch):
    for number in range(6):
        queue.register(worker(worker_id=f"worker-{number}"))
        queue.register(worker(worker_id=f"app-{number}/0", role="scheduler", threads=0, coroutines=0))
        stored(queue_name=f"tenant-{number}")
    stored(queue_name="tenant-3")
    jobs.pause(queue="tenant-5", backend="default")
    for name in ("SHOWN_QUEUES", "SHOWN_WORKERS", "SHOWN_SCHEDULERS"):
        monkeypatch.setattr(worker_page, name, 2)
    page = client.get(WORKERS)
    shown = text(page)
    assert re.findall(r"tenant-\d", shown) == ["tenant-3", "tenant-5"]
    assert shown.count("and 4 more") == 3
    assert page.content.decode().count('<a href="?all=1">and 4 more</a>') == 3
    shown = text(client.get(f"{WORKERS}?all=1"))
    assert sorted(re.findall(r"tenant-\d", shown)) == [f"tenant-{number}" for number in range(6)]
    assert (shown.count("worker-"), shown.count("app-"), "more" in shown) == (6, 6, False)
    answer = client.post(f"{WORKERS}?all=1", {"queue": "tenant-0", "alias": "default", "pauses": "yes"})
    assert answer.url == f"{WORKERS}?all=1"


def test_ages_cost_a_call_to_the_store_for_some_queues_only(client, queue, stored, monkeypatch):
    for number in range(4):
        stored(queue_name=f"tenant-{number}")
    monkeypatch.setattr(worker_page, "AGES", 3)
    asked = []
    oldest_due = queue.oldest_due
    monkeypatch.setattr(queue, "oldest_due", lambda queues: (asked.append(queues), oldest_due(queues))[1])
    shown = text(client.get(WORKERS))
    assert asked == [("tenant-0",), ("tenant-1",), ("tenant-2",)]
    assert re.search(r"tenant-2 default 1 0 0 0 \d s open", shown)
    assert "tenant-3 default 1 0 0 0 not read open" in shown
