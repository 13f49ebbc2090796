"""The dashboard's page of schedules."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from django_loco import scheduler
from django_loco.core.job import FAILED, Outcome, error_of, utcnow
from django_loco.dashboard.pages.overview import facts as overview_facts
from django_loco.dashboard.pages.schedules import facts
from django_loco.dashboard.pages.schedules.page import schedules
from django_loco.models import Schedule, ScheduleState
from django_loco.queues import queue_for
from django_loco.queues.workers import Role, WorkerInfo
from django_loco.scheduler.registry import default
from django_loco.scheduler.sources.allow_list import AllowList
from tests.unit.scheduler.tasks import send, tick, tock

from ..admin.conftest import client, client_of, queue, text  # noqa: F401 - fixtures
from ..jobs.conftest import CLAIM
from ..scheduler.conftest import own_schedules  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
PAGE, ACT = "/jobs/schedules/", "/jobs/schedules/act"
PARTS = {"Accept": "application/json"}
HOSTILE = 'x-"><script>alert(1)</script>'
LIVING = WorkerInfo(
    worker_id="app:1:cd/0", host="app", pid=1, queues=(), tags=None, threads=0, coroutines=0, lease=30.0,
    started_at=utcnow(), role=Role.SCHEDULER,
)  # fmt: skip
DEAD = replace(LIVING, lease=-1.0)


@pytest.fixture(autouse=True)
def code(own_schedules, monkeypatch):  # noqa: F811
    schedules.forget()
    monkeypatch.setattr(default, "_allow_list", AllowList())
    for target in (tick, send):
        default.expose(target)
    own_schedules.daily(tock, at="04:00", timezone="Europe/Berlin", name="nightly")
    own_schedules.after("nightly", tick, name="afterwards")
    return own_schedules


@pytest.fixture
def row():
    return Schedule.objects.create(name="row", run=tick.module_path, schedule="every 15 minutes")


def test_nothing_yet(client, queue, code, monkeypatch):  # noqa: F811
    monkeypatch.setattr(default, "_entries", {})
    assert "There are no schedules." in text(client.get(PAGE))


@pytest.mark.parametrize("address", [PAGE, "/jobs/"])
def test_a_reader_in_another_zone_sees_the_time_of_the_schedule_as_well(client, queue, address):  # noqa: F811
    """The words of a schedule are about its own zone."""
    overview_facts.forget()
    client.cookies["loco_zone"] = "Asia/Tokyo"
    content = client.get(address).content.decode()
    assert re.search(r">\w{3} \d+ 1[12]:00:00 JST</time><small>\w{3} \d+ 04:00:00 CES?T</small>", content)
    assert content.count("</time><small>") == 1
    client.cookies["loco_zone"] = "Europe/Rome"
    overview_facts.forget()
    content = client.get(address).content.decode()
    assert re.search(r">\w{3} \d+ 04:00:00</time><", content)
    assert "</time><small>" not in content


def test_schedules_of_code_and_database_are_shown(client, queue, row):  # noqa: F811
    shown = text(client.get(PAGE))
    assert "3 schedules" in shown
    assert shown.index("nightly") < shown.index("afterwards") < shown.index("row")
    assert "Daily at 04:00" in shown or "04:00" in shown
    assert "after nightly" in shown
    content = client.get(PAGE).content.decode()
    assert content.count('<svg class="timeline"') == 2
    assert f'href="/admin/django_loco/schedule/{row.pk}/change/"' in content
    assert '<a href="/jobs/schedules/" aria-current="page">Schedules</a>' in content


def test_more_runs_than_are_drawn_are_said_to_be_more(client, queue, code):  # noqa: F811
    code.every_minute(tock, name="often")
    assert 'aria-label="60+ runs within 1d"' in client.get(f"{PAGE}?q=often").content.decode()


NOBODY = "No scheduler is alive, so no schedule fires. Start one: manage.py loco_scheduler , or"


def test_schedules_that_no_scheduler_fires_are_said(client, queue, row):  # noqa: F811
    assert (NOBODY in text(client.get(PAGE))) is queue.is_shared, "what is in memory other processes do not see"
    assert (NOBODY in text(client.get(f"{PAGE}?q=row"))) is queue.is_shared
    for quiet in (f"{PAGE}?q=nothing", f"{PAGE}?q=afterwards"):
        assert NOBODY not in text(client.get(quiet))
    for name in ("nightly", "row"):
        scheduler.pause(name)
    assert NOBODY not in text(client.get(PAGE)), "all are paused"
    scheduler.resume("row")
    for entry, is_said in ((DEAD, queue.is_shared), (LIVING, False)):
        queue_for("bulk").register(entry)
        assert (NOBODY in text(client.get(PAGE))) is is_said
        assert bool(client.get(PAGE, headers=PARTS).json()["unserved"]) is is_said


def test_a_schedule_runs_now_and_its_job_is_a_dot(client, queue):  # noqa: F811
    answer = client.post(ACT, {"run": "nightly", "back": f"{PAGE}?range=7d"})
    assert (answer.status_code, answer["Location"]) == (302, f"{PAGE}?range=7d")
    [job] = queue.series("nightly")
    content = client.get(PAGE).content.decode()
    assert f'<a id="dot-{job.id}" class="dot waiting"' in content
    assert f'<tr id="tick-{job.id}">' in content
    [held] = queue.fetch(CLAIM)
    queue.finish([Outcome(job=held, status=FAILED, error=error_of(ValueError, "boom"))])
    shown = text(client.get(PAGE))
    assert f'<a id="dot-{job.id}" class="dot failed"' in client.get(PAGE).content.decode()
    assert "ValueError" in shown
    assert "run by hand failed" in shown
    [entry] = LogEntry.objects.all()
    assert entry.object_repr == "nightly"
    assert entry.change_message == f"run now, as job {job.id}."


def test_a_schedule_is_paused_and_resumed(client, queue, row):  # noqa: F811
    for name in ("nightly", "row"):
        assert client.post(ACT, {"pause": name}).status_code == 302
    assert set(ScheduleState.objects.filter(paused_at__isnull=False).values_list("name", flat=True)) == {
        "nightly",
        "row",
    }
    assert "paused by user-0 Run now Resume Edit" in text(client.get(PAGE))
    assert client.post(ACT, {"resume": "row"}).status_code == 302
    assert not ScheduleState.objects.filter(name="row", paused_at__isnull=False).exists()
    assert LogEntry.objects.count() == 3


@pytest.mark.parametrize("permissions", [("view_schedule",), ("change_schedule",), ("view_job", "view_worker")])
def test_who_may_not_change_schedules_cannot(queue, row, permissions):  # noqa: F811
    browser = client_of(*permissions)
    shown = browser.get(PAGE)
    assert shown.status_code == (200 if "view_schedule" in permissions else 403)
    assert b"schedules/act" not in shown.content or b'name="run"' not in shown.content
    assert b"/change/" not in shown.content
    for word in ("run", "pause", "resume"):
        assert browser.post(ACT, {word: "nightly"}).status_code == 403
    assert (queue.series("nightly"), ScheduleState.objects.exists(), LogEntry.objects.exists()) == ([], False, False)


@pytest.mark.parametrize("data", [{}, {"run": ""}, {"run": "nobody"}, {"delete": "nightly"}, {"pause": "\x00"}])
def test_what_cannot_be_done_is_said(client, queue, data):  # noqa: F811
    answer = client.post(ACT, data)
    assert answer.status_code == 400
    assert '<section class="card sentence">' in answer.content.decode()
    assert '<a href="/jobs/schedules/">Go back</a>' in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_a_post_needs_the_token(queue):  # noqa: F811
    browser = client_of(is_superuser=True)
    browser.handler.enforce_csrf_checks = True
    assert browser.post(ACT, {"run": "nightly"}).status_code == 403
    assert queue.series("nightly") == []


def test_a_schedule_that_is_off_says_why(client, queue):  # noqa: F811
    Schedule.objects.create(name="wrong", run="no.such.task", schedule="every hour")
    shown = text(client.get(PAGE))
    assert "wrong" in shown
    assert "off" in shown
    assert "no.such.task" in shown


def test_one_that_cannot_be_computed_does_not_hide_the_others(client, queue, row, monkeypatch):  # noqa: F811
    computed = facts.upcoming_of

    def breaks(entry, *rest):
        if entry.name == "row":
            raise ZeroDivisionError("oops")
        return computed(entry, *rest)

    monkeypatch.setattr(facts, "upcoming_of", breaks)
    shown = text(client.get(PAGE))
    assert "It cannot be shown: ZeroDivisionError" in shown
    assert "after nightly" in shown


@pytest.mark.parametrize("query", ["?q=night", "?q=%00", "?p=99", "?p=-1", "?p=" + "9" * 5000, "?range=x", "?p=٣"])
def test_addresses(client, queue, query):  # noqa: F811
    assert client.get(PAGE + query).status_code == 200
    assert client.get(PAGE + query, headers=PARTS).status_code == 200


def test_a_search_and_pages(client, queue, monkeypatch):  # noqa: F811
    monkeypatch.setattr(facts, "PAGE", 10)
    for number in range(25):
        Schedule.objects.create(name=f"row {number:02}", run=tick.module_path, schedule="every hour")
    assert "2 schedules" not in text(client.get(PAGE))
    found = client.get(f"{PAGE}?q=ROW&p=2").content.decode()
    assert "row 10" in found
    assert "row 09" not in found
    assert found.count("?range=1d&amp;q=ROW&amp;p=") == 3, "the range, and two pages"
    assert "No schedule has such a name." in text(client.get(f"{PAGE}?q=nothing"))


def test_hostile_texts_are_escaped(client, queue):  # noqa: F811
    Schedule.objects.create(name=HOSTILE, run=tick.module_path, schedule="every hour", description=HOSTILE)
    assert client.post(ACT, {"pause": HOSTILE}).status_code == 302
    content = client.get(PAGE).content.decode()
    assert "alert(1)" in content
    assert "<script>alert" not in content
    assert "style=" not in content


def test_a_database_that_is_away(client, queue, monkeypatch):  # noqa: F811
    client.get(PAGE)

    def away():
        raise DatabaseError("gone <b>")

    monkeypatch.setattr(facts, "current", away)
    shown = text(client.get(PAGE), 503)
    assert "You see what was last known." in shown
    assert "nightly" in shown
    assert client.get(PAGE, headers=PARTS).status_code == 503


def test_many_schedules_take_few_queries(client, queue):  # noqa: F811
    for number in range(40):
        Schedule.objects.create(name=f"row {number:02}", run=tick.module_path, schedule="every hour")
    client.get(PAGE)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(PAGE, headers=PARTS).status_code == 200
    assert len(queries) <= 12
