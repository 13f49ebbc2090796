"""The dashboard's pages of queues and of tasks, on every queue."""

from __future__ import annotations

import html
import json
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.dashboard.pages.queues import facts as queue_facts
from django_loco.dashboard.pages.queues.page import queues
from django_loco.dashboard.pages.tasks import facts as task_facts
from django_loco.dashboard.pages.tasks.page import tasks
from django_loco.exceptions import QueueUnavailable
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
from django_loco.queues.workers import WorkerInfo

from ..admin.conftest import client, client_of, queue, stored, text  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db
QUEUES, TASKS = "/jobs/queues/", "/jobs/tasks/"
PARTS = {"Accept": "application/json"}
HOSTILE = 'x-"><script>alert(1)</script>'


@pytest.fixture(autouse=True)
def nothing_known():
    for page, facts in ((queues, queue_facts), (tasks, task_facts)):
        page.forget()
        facts.forget()


def minute(outcome, runs, queue_name="default", path="shop.tasks.pay", ago=3):
    numbers = dict.fromkeys(NUMBERS, 0) | {"count": runs, "duration_2": runs, "wait_1": runs}
    return Minute(Labels(minute_of(time.time()) - ago, queue_name, path, outcome), tuple(numbers.values()))


def worker(**given):
    described = {"worker_id": "w", "host": "web-1", "pid": 4711, "queues": None, "tags": None, "threads": 8}
    return WorkerInfo(**described | {"coroutines": 0, "lease": 30.0, "started_at": utcnow()} | given)


def test_nothing_yet(client, queue):  # noqa: F811
    assert "There are no jobs yet." in text(client.get(QUEUES))
    assert "No job was enqueued in the last 14 days." in text(client.get(TASKS))


def test_a_queue_is_shown_with_its_numbers_and_its_tasks(client, queue, stored):  # noqa: F811
    stored("waiting")
    queue.record([minute("successful", 40), minute("failed", 2, path="shop.tasks.send"), minute("enqueued", 43)])
    queue.record([minute("enqueued", 1, ago=30)])
    shown = text(client.get(QUEUES))
    assert "1 0 0 s 4.3 / 4.2 42 ended 0 29 ms / 96 ms no worker Pause" in shown
    assert "send 2 2 65 ms 96 ms pay 40 0 65 ms 96 ms" in shown
    queue.register(worker())
    assert "open Pause" in text(client.get(QUEUES))
    assert '<a href="/jobs/queues/" aria-current="page">Queues</a>' in client.get(QUEUES).content.decode()


def test_a_queue_is_paused_in_its_row_and_the_range_stays(client, queue, stored):  # noqa: F811
    stored("waiting")
    address = f"{QUEUES}?range=6h"
    content = client.get(address).content.decode()
    assert 'name="back" value="/jobs/queues/?range=6h"' in content
    answer = client.post("/jobs/pause", {"pause": json.dumps(["default", "default"]), "back": address})
    assert answer["Location"] == address
    assert jobs.paused() == {"default": ["default"]}
    assert "paused Resume" in text(client.get(address))


def test_who_may_not_pause_has_no_button(queue, stored):  # noqa: F811
    stored("waiting")
    assert b"<button" not in client_of("view_job", "view_worker").get(QUEUES).content
    assert b"<button" not in client_of("view_job").get(TASKS).content
    assert client_of("view_job").get(QUEUES).status_code == 403
    assert client_of("view_worker").get(TASKS).status_code == 403


def test_who_sees_tasks_may_pause_them_and_tags_but_no_queues(queue):  # noqa: F811
    path = "tests.app.tasks.add"
    queue.record([minute("failed", 1, path=path)])
    task, tag = json.dumps({"task": path}), json.dumps({"tag": "bulk"})
    for permissions in (("view_job",), ("pause_queue",), ("view_worker", "pause_queue")):
        for value in (task, tag):
            assert client_of(*permissions).post("/jobs/pause", {"pause": value}).status_code == 403
    browser = client_of("view_job", "pause_queue")
    content = browser.get(TASKS).content.decode()
    assert html.escape(task) in content
    assert 'name="pause" value="tag"' in content
    assert browser.post("/jobs/pause", {"pause": task}).status_code == 302
    assert browser.post("/jobs/pause", {"pause": "tag", "name": "bulk"}).status_code == 302
    assert [*jobs.paused("task")] == [*jobs.paused("tag")] == jobs.aliases()
    for alias in jobs.aliases():
        value = json.dumps({"task": path, "backend": alias})
        assert browser.post("/jobs/pause", {"resume": value}).status_code == 302
    assert jobs.paused("task") == {}
    for field in ("pause", "resume"):
        answer = browser.post("/jobs/pause", {field: '["default", "default"]'})
        assert (answer.status_code, answer.content) == (
            403,
            b"You lack django_loco.view_worker. An administrator can grant it.\n",
        )
    assert jobs.paused() == {}


def test_the_queues_with_the_most_jobs_come_first_and_the_others_are_counted(client, queue, stored, monkeypatch):  # noqa: F811
    monkeypatch.setattr(queue_facts, "SHOWN_QUEUES", 2)
    for name, number in (("few", 1), ("many", 3), ("some", 2)):
        for _ in range(number):
            stored("waiting", queue_name=name)
    shown = text(client.get(QUEUES))
    assert shown.index("many") < shown.index("some")
    assert "few" not in shown.partition("many")[2].partition("1 queue with fewer jobs is left out.")[0]


def test_tasks_are_shown_with_rates_and_percentiles(client, queue):  # noqa: F811
    queue.record([minute("successful", 40), minute("failed", 10), minute("failed", 1, path="shop.tasks.send")])
    queue.record([minute("successful", 7, path="shop.tasks.idle", ago=300)])
    shown = text(client.get(TASKS))
    assert "pay shop.tasks 50 10 20 % 20 ms / 29 ms / 30 ms 65 ms / 96 ms / 99 ms" in shown
    assert "send shop.tasks 1 1 100 %" in shown
    assert "idle shop.tasks 0 0 - - / - / -" in shown
    assert "idle shop.tasks 7 0 0 %" in text(client.get(f"{TASKS}?range=14d"))
    by_rate = text(client.get(f"{TASKS}?order=rate"))
    assert by_rate.index("send") < by_rate.index("pay")


@pytest.mark.parametrize(
    "query", ["?range=14d", "?range=nonsense&order=nonsense", "?order=%00", "?range=5m&order=wait"]
)
def test_addresses_that_mean_nothing(client, queue, query):  # noqa: F811
    assert client.get(TASKS + query).status_code == 200
    assert client.get(QUEUES + query).status_code == 200


def test_links_lead_to_the_jobs(client, queue, stored):  # noqa: F811
    stored("failed")
    queue.record([minute("failed", 1, path="tests.app.tasks.add")])
    for page in (QUEUES, TASKS):
        content = client.get(page).content.decode()
        assert "q=task%3Atests.app.tasks.add" in content or "task%3Atests.app.tasks.add" in content


def test_hostile_texts_are_escaped(client, queue, stored):  # noqa: F811
    stored("failed", queue_name=HOSTILE, task_path=HOSTILE)
    queue.record([minute("failed", 3, queue_name=HOSTILE, path=HOSTILE)])
    for page in (QUEUES, TASKS):
        content = client.get(page).content.decode()
        assert "alert(1)" in content
        assert "<script>alert" not in content
        assert "style=" not in content


def test_a_store_that_is_away(client, queue, stored, monkeypatch):  # noqa: F811
    stored("waiting")
    queue.record([minute("failed", 3)])
    for page in (QUEUES, TASKS):
        client.get(page)

    def away(*_args, **_options):
        raise QueueUnavailable("The store <b> is away.")

    for name in ("counts", "minutes", "totals"):
        monkeypatch.setattr(type(queue), name, away)
    queue_facts.forget()
    task_facts.forget()
    for page in (QUEUES, TASKS):
        assert "You see what was last known." in text(client.get(page), 503)
        assert client.get(page, headers=PARTS).status_code == 503


def test_what_has_not_changed_is_not_sent_again_and_takes_few_queries(client, queue, stored):  # noqa: F811
    for number in range(30):
        stored("waiting", queue_name=f"queue {number}")
    for page in (QUEUES, TASKS):
        first = client.get(page, headers=PARTS)
        with CaptureQueriesContext(connection) as queries:
            again = client.get(page, headers={**PARTS, "If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert len(queries) <= 18, "of two aliases"
