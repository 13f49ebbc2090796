"""The overview, on every queue."""

from __future__ import annotations

import html
import json
import re
import time
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import translation

import django_loco
from django_loco import jobs, scheduler
from django_loco.core.job import Job, utcnow
from django_loco.dashboard.charts.activity import RANGES
from django_loco.dashboard.pages.overview import facts, page
from django_loco.dashboard.pages.overview.page import overview
from django_loco.dashboard.pages.queues import facts as queues_facts
from django_loco.exceptions import QueueUnavailable
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
from django_loco.queues.workers import Role, WorkerInfo
from tests.app.tasks import add
from tests.integration.admin.conftest import client_of, text
from tests.integration.jobs.conftest import CLAIM
from tests.integration.scheduler.conftest import own_schedules  # noqa: F401 - a fixture

from .conftest import PARTS

pytestmark = pytest.mark.django_db
PAGE = "/jobs/"


def worker(**given):
    described = {"worker_id": "worker-1", "host": "web-1", "pid": 4711, "queues": None, "tags": None, "threads": 8}
    described |= {"coroutines": 0, "lease": 30.0, "started_at": utcnow(), "busy": 1}
    return WorkerInfo(**described | given)


def minute(outcome, runs, queue_name="default", at=None):
    numbers = dict.fromkeys(NUMBERS, 0) | {"count": runs, "duration_2": runs, "wait_1": runs}
    return Minute(
        Labels(minute_of(time.time()) - 3 if at is None else at, queue_name, "shop.pay", outcome),
        tuple(numbers.values()),
    )


def test_nothing_yet(client, queue):
    shown = text(client.get(PAGE))
    assert "Healthy 0 workers are alive" in shown
    assert "There are no jobs yet." in shown
    assert "No worker is registered." in shown


def test_each_row_of_a_queue_and_its_button_have_an_id_of_their_own(client, queue, stored):
    """By its id the script of the page finds a row again when another queue comes in above it."""
    ids = []
    for name in ("bbb", "aaa"):
        stored("waiting", queue_name=name)
        ids.append(re.findall(r'<(?:tr|button)[^>]* id="([^"]*bbb)"', client.get(PAGE).content.decode()))
    assert ids == [["q-default-bbb", "b-q-default-bbb"]] * 2


def test_workers_and_failures_have_ids_of_their_own(client, queue, stored):
    job = stored("failed")
    queue.register(worker())
    content = client.get(PAGE).content.decode()
    for name in ("w-default-worker-1", f"failure-{job.id}", "error-builtins.ValueError-tests.app.tasks.add"):
        assert content.count(f'<li id="{name}">') == 1


def test_an_age_that_was_not_read_is_not_said_to_be_none(client, queue, stored, monkeypatch):
    monkeypatch.setattr(facts, "AGES", 1)
    monkeypatch.setattr(queues_facts, "AGES", 1)
    for name, number in (("most", 3), ("more", 2), ("few", 1)):
        for _ in range(number):
            stored("waiting", queue_name=name)
    stored("failed", queue_name="none")
    for address in (PAGE, "/jobs/queues/"):
        shown = text(client.get(address))
        assert re.search(r"most default 3 0 0 s ", shown)
        assert re.search(r"more default 2 0 not read ", shown)
        assert re.search(r"few default 1 0 not read ", shown)
        assert re.search(r"none default 0 0 - ", shown)
    monkeypatch.setattr(facts, "AGES", 2)
    assert re.search(r"few default 1 0 0 s ", text(client.get(PAGE))), "it was asked for alone"


@pytest.mark.parametrize(("language", "start"), [("ar", '<html lang="ar" dir="rtl">'), ("de", '<html lang="de">')])
def test_the_page_says_its_language_and_direction(client, queue, language, start):
    with translation.override(language):
        answer = client.get(PAGE)
    assert start in answer.content.decode()


def test_the_styles_follow_the_direction():
    """Left and right would stay where they are on a page that is read from the right."""
    folder = Path(django_loco.__file__).parent / "static" / "django_loco" / "dashboard"
    physical = r"(?<![-\w.])(?:(?:margin|padding|border)-)?(?:left|right)\s*:|text-align:\s*(?:left|right)"
    sheets = {sheet.name: re.findall(physical, sheet.read_text(encoding="utf-8")) for sheet in folder.glob("*.css")}
    assert "pages.css" in sheets
    assert not any(sheets.values()), sheets


def test_everything_is_shown(client, queue, stored):
    for state in ("failed", "running", "waiting"):
        stored(state)
    stored("failed")
    queue.register(worker())
    queue.record([minute("successful", 40), minute("failed", 3), minute("enqueued", 43)])
    queue.record([minute("enqueued", 1, at=minute_of(time.time()) - 30)])
    answer = client.get(PAGE)
    shown = text(answer)
    assert "Attention 2 jobs failed in the last hour." in shown
    assert "40 succeeded, 3 failed, 0 retried or stopped" in shown
    assert "Runs 43" in shown
    assert "p50 about 20 ms wait, 65 ms run" in shown
    assert "4.3 / 4.3" in shown
    assert "worker-1 web-1, default, all queues 1 of 8 busy alive" in shown
    assert "tests.app.tasks.add ValueError: ValueError: boom" in shown
    assert "/jobs/jobs/?q=queue%3Adefault" in answer.content.decode()


def test_the_links_to_failures_find_them(client, queue, stored):
    job = stored("failed")
    links = re.findall(r'href="(/jobs/jobs/[^"]*)"', client.get(PAGE).content.decode())
    assert len(links) > 3
    for link in links:
        assert client.get(link.replace("&amp;", "&")).status_code == 200
    assert all(job.id in client.get(link).content.decode() for link in links if "error" in link)


def test_failures_that_were_retried_are_no_trouble_any_more(client, queue, stored):
    job = stored("failed")
    queue.record([minute("failed", 5)])
    assert "Attention 1 job failed in the last hour." in text(client.get(PAGE))
    queue.register(worker())
    jobs.retry(job)
    assert "Healthy No failed job of the last hour is left." in text(client.get(PAGE))


def test_no_worker_is_trouble(client, queue, stored):
    stored("waiting")
    assert "Trouble No worker is alive, and 1 job waits." in text(client.get(PAGE))


def test_schedules_without_a_scheduler_are_trouble(client, queue, stored, own_schedules):  # noqa: F811
    def sentence():
        overview.forget()
        facts.forget()
        return text(client.get(PAGE))

    stored("failed")
    own_schedules.daily(add, at="04:00", args=[1, 2], name="nightly")
    nobody = "Trouble No scheduler is alive, and 1 schedule waits. Start one: manage.py loco_scheduler, or"
    assert (nobody in sentence()) is queue.is_shared, "what is in memory other processes do not see"
    queue.register(worker(worker_id="app:1:cd/0", role=Role.SCHEDULER, lease=-1.0))
    assert (nobody in sentence()) is queue.is_shared
    queue.register(worker(worker_id="app:1:cd/0", role=Role.SCHEDULER))
    assert "Attention 1 job failed in the last hour." in sentence()
    queue.unregister("app:1:cd/0")
    scheduler.pause("nightly")
    assert "Attention 1 job failed in the last hour." in sentence()


def test_schedules_are_for_those_who_may_see_their_page(client, queue, own_schedules):  # noqa: F811
    own_schedules.daily(add, at="04:00", args=[1, 2], name="payroll")
    if queue.is_shared:
        assert "1 schedule waits" in text(client.get(PAGE))
    assert "payroll" in text(client.get(PAGE))
    reader = client_of("view_job", "view_worker")
    assert "schedule" not in text(reader.get(PAGE)).partition("Healthy")[2]
    assert "payroll" not in reader.get(PAGE).content.decode()
    shown = reader.get(PAGE, headers=PARTS)
    assert "schedules" not in shown.json()
    assert "payroll" not in shown.content.decode()
    assert "payroll" in text(client_of("view_job", "view_worker", "view_schedule").get(PAGE))


def test_it_is_closed(queue):
    assert Client().get(PAGE)["Location"] == "/admin/login/?next=/jobs/"
    refused = client_of("view_job").get(PAGE)
    assert (refused.status_code, refused.content) == (
        403,
        b"You lack django_loco.view_worker. An administrator can grant it.\n",
    )
    assert client_of("view_job", "view_worker").get(PAGE).status_code == 200
    ended = Client().get(PAGE, headers=PARTS)
    assert (ended.status_code, ended.content) == (401, b"Your session has ended. Reload the page to log in.\n")


def test_staff_status_is_needed(queue):
    from django.contrib.auth.models import User  # noqa: PLC0415

    browser = client_of("view_job", "view_worker")
    User.objects.update(is_staff=False)
    assert browser.get(PAGE).status_code == 403


def test_a_queue_is_paused_and_resumed(client, queue, stored):
    stored("waiting")
    value = json.dumps(["default", "default"])
    assert client.post("/jobs/pause", {"pause": value})["Location"] == PAGE
    assert jobs.paused() == {"default": ["default"]}
    assert "paused Resume" in text(client.get(PAGE))
    assert client.post("/jobs/pause", {"resume": value}).status_code == 302
    assert jobs.paused() == {}
    assert sorted(LogEntry.objects.values_list("object_repr", "change_message")) == [
        ("default: default", "Paused."),
        ("default: default", "Resumed."),
    ]


@pytest.mark.parametrize(("kind", "name"), [("task", "tests.app.tasks.add"), ("tag", "a <b> tag")])
def test_a_task_or_a_tag_is_paused_and_resumed(client, queue, stored, kind, name):
    stored("waiting", tags=("a <b> tag",))
    assert client.post("/jobs/pause", {"pause": kind, "name": f" {name} ", "back": "/jobs/tasks/"}).status_code == 302
    assert jobs.paused(kind) == {"default": [name], "bulk": [name]}
    assert queue.fetch(CLAIM) == []
    for address in (PAGE, "/jobs/queues/", "/jobs/tasks/"):
        shown = text(client.get(address))
        assert f"Paused tasks and tags {kind.capitalize()} {name} default paused Resume" in shown
        assert f"{kind.capitalize()} {name} bulk paused Resume" in shown
        assert "<b> tag" not in client.get(address, headers=PARTS).json()["paused"]
    value = re.search(r'name="resume" value="([^"]*bulk[^"]*)"', client.get(PAGE).content.decode())
    assert client.post("/jobs/pause", {"resume": html.unescape(value[1])}).status_code == 302
    assert jobs.paused(kind) == {"default": [name]}
    assert client.post("/jobs/pause", {"resume": json.dumps({kind: name})}).status_code == 302
    assert jobs.paused(kind) == {}
    assert len(queue.fetch(CLAIM)) == 1
    assert sorted(LogEntry.objects.values_list("object_repr", "change_message")) == [
        (f"bulk: {kind} {name}", "Resumed."),
        (f"{kind} {name}", "Paused."),
        (f"{kind} {name}", "Resumed."),
    ]


def test_a_misspelt_task_is_not_paused(client, queue):
    answer = client.post("/jobs/pause", {"pause": "task", "name": "tests.app.tasks.ad"})
    assert "Did you mean 'tests.app.tasks.add'?" in text(answer, 400)
    assert jobs.paused("task") == {}


def test_who_may_not_pause_cannot(queue, stored):
    stored("waiting")
    browser = client_of("view_job", "view_worker")
    assert b"<button" not in browser.get(PAGE).content
    assert browser.post("/jobs/pause", {"pause": '["default", "default"]'}).status_code == 403
    assert jobs.paused() == {}


WRONG = [
    *("", "[]", "1", "null", "{", "{}", "tag", '["nowhere", "default"]', '["default", "other"]'),
    *("[" * 100_000, '{"a":' * 100_000, f'["default", {"[" * 900}{"]" * 900}]'),
    *('{"task": "a", "tag": "b"}', '{"task": "shop.nothing"}', '{"tag": ""}', '{"tag": "a", "backend": "nowhere"}'),
]


@pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
def test_a_wrong_queue_is_refused(client, queue, value):
    assert client.post("/jobs/pause", {"pause": value}).status_code == 400


def test_a_post_needs_the_token(queue):
    browser = client_of(is_superuser=True)
    browser.handler.enforce_csrf_checks = True
    assert browser.post("/jobs/pause", {"pause": '["default", "default"]'}).status_code == 403
    assert jobs.paused() == {}


def test_what_has_not_changed_is_not_sent_again(client, queue, stored):
    first = client.get(PAGE, headers=PARTS)
    assert set(first.json()) == {"health", "activity", "queues", "paused", "workers", "schedules", "failures"}
    again = client.get(PAGE, headers={**PARTS, "If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    stored("failed")
    assert client.get(PAGE, headers={**PARTS, "If-None-Match": first["ETag"]}).status_code == 200


def test_two_aliases_with_many_queues_take_few_queries(client, queue, stored):
    for number in range(9):
        stored("waiting", queue_name=f"queue-{number}")
    stored("failed")
    client.get(PAGE)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(PAGE).status_code == 200
    assert len(queries) <= 19, "\n".join(" ".join(each["sql"].split())[:150] for each in queries)


def test_of_many_queues_the_largest_are_shown(client, queue):
    names = [f"queue/{number}" for number in range(1, 501)]
    queue.enqueue([Job(task_path="a.b", backend="default", arguments="[[], {}]", queue_name=name) for name in names])
    queue.enqueue([Job(task_path="a.b", backend="default", arguments="[[], {}]", queue_name="queue/500")])
    page = client.get(PAGE)
    shown = text(page)
    assert "queue/500 default 2 0" in shown
    assert "and 470 more, with fewer jobs. See all queues" in shown
    assert len(page.content) < 80_000


def test_names_and_errors_are_no_markup_and_nothing_is_inline(client, queue, stored):
    stored("failed", error="<script>alert(1)</script>", task_path="<script>x", queue_name="<script>q")
    queue.register(worker(worker_id="<script>w", host="<b>h"))
    content = client.get(PAGE).content.decode()
    assert set(re.findall(r"<script[^>]*>", content)) == {
        '<script src="/static/django_loco/dashboard/theme.js">',
        *(f'<script src="/static/django_loco/dashboard/{name}.js" defer>' for name in ("live", "times")),
    }
    assert "<b>h" not in content
    assert "alert(1)" in content
    assert not re.search(r"<style|<[^>]*\s(style|on\w+)=|javascript:", content)


def test_a_store_that_is_away_leaves_what_was_last_known(client, queue, stored, monkeypatch):
    stored("failed")
    client.get(PAGE)

    def read(*_):
        raise QueueUnavailable("The store <b> is away.")

    monkeypatch.setattr(page, "read", read)
    shown = text(client.get(PAGE), 503)
    assert "The store does not answer. You see what was last known. The store <b> is away." in shown
    assert "ValueError: boom" in shown
    assert client.get(PAGE, headers=PARTS).status_code == 503
    overview.forget()
    assert "The store <b> is away. Try again" in text(client.get(PAGE), 503)


@pytest.mark.parametrize("name", ["5m", "1d", "7d", "14d", "nonsense"])
def test_other_ranges(client, queue, name):
    assert client.get(f"{PAGE}?range={name}").status_code == 200


def test_two_weeks_are_read_by_the_hour(client, queue):
    now = minute_of(time.time())
    days_ago = minute("failed", 5)
    queue.record([days_ago._replace(labels=days_ago.labels._replace(minute=now - 9 * 1440)), minute("successful", 2)])
    queue.register(worker(release="<r7>"))
    shown = client.get(f"{PAGE}?range=14d")
    assert "Runs 7" in text(shown)
    assert '<path class="mark"' in shown.content.decode()
    assert "&lt;r7&gt;" in shown.content.decode()
    assert "Runs 2" in text(client.get(f"{PAGE}?range=7d"))


@pytest.mark.extra("6h", "1d", "7d")
@pytest.mark.parametrize("name", RANGES)
def test_the_chart_stops_growing_when_its_range_is_full(client, queue, name):
    """The document of a browser is made the same as these parts, however long the page is open."""
    chosen, now, sizes = RANGES[name], minute_of(time.time()), []
    for number in (chosen.bars // 2, chosen.bars, 3 * chosen.bars):
        queue.clear()
        minutes = [now - place * chosen.minutes for place in range(-1, number)]  # with the next one, which may begin
        queue.record([minute(kind, 7, at=at) for at in minutes for kind in ("successful", "failed", "retried")])
        facts.forget()
        answer = client.get(f"{PAGE}?range={name}", headers=PARTS)
        sizes.append(len(re.findall(r"<\w", answer.json()["activity"])))
    half, full, longer = sizes
    assert half < full == longer
    assert full < 12 * chosen.bars + 80, "a bar of three colours with its title, and a row of the table"


def _included():
    from django.urls import include  # noqa: PLC0415

    return [path("a/b/", include("django_loco.urls.dashboard"))]


def test_without_an_admin_and_under_another_prefix(client, queue, stored, settings):
    from types import ModuleType  # noqa: PLC0415

    urls = ModuleType("urls_of_a_site")
    urls.urlpatterns = _included()
    settings.ROOT_URLCONF = urls
    settings.LOGIN_URL = "/login/"
    stored("failed")
    content = client.get("/a/b/").content.decode()
    assert "ValueError: boom" in content
    assert "/admin/" not in content
    assert '<a href="/a/b/" aria-current="page">Overview</a>' in content
    assert Client().get("/a/b/")["Location"] == "/login/?next=/a/b/"


def test_statistics_are_read_once_in_a_while(client, queue):
    queue.record([minute("successful", 4)])
    assert "Runs 4" in text(client.get(PAGE))
    queue.record([minute("successful", 3)])
    assert "Runs 4" in text(client.get(PAGE))
    facts.forget()
    assert "Runs 7" in text(client.get(PAGE))
