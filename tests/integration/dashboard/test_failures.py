"""The failures on the dashboard, on every queue."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_loco import jobs
from django_loco.dashboard.pages.failures import groups
from django_loco.dashboard.pages.failures.page import failures_page
from django_loco.exceptions import QueueUnavailable
from tests.integration.admin.conftest import client_of, text

from .conftest import OPERATE, PARTS, require_no_inline

pytestmark = pytest.mark.django_db
PAGE, DO = "/jobs/failures/", "/jobs/failures/operate"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def nothing_known():
    failures_page.forget()
    groups.forget()


def key_of(client, name="retry"):
    return re.search(rf'value="({name}:[0-9a-f]+)"', client.get(PAGE).content.decode())[1]


def test_failures_are_grouped(client, stored):
    for number in range(3):
        stored("failed", error=f"order {number} has no price", task_path=f"shop.tasks.pay_{number % 2}")
    stored("failed", error="other")
    stored("cancelled")
    page = client.get(PAGE)
    shown = text(page)
    assert "4 jobs failed in this time." in shown
    assert "ValueError order # has no price shop.tasks.pay_0 (2), shop.tasks.pay_1 (1)" in shown
    assert re.search(r"order \d has no price See this job +3 ", shown)
    content = page.content.decode()
    for link in re.findall(r'href="(/jobs/jobs/[^"]+)"', content):
        assert client.get(link.replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("period", ["1h", "6h", "1d", "7d", "14d", "nonsense"])
def test_periods(client, stored, period):
    stored("failed")
    page = client.get(PAGE, {"period": period})
    assert "1 job failed in this time." in text(page)
    expected = period if period != "nonsense" else groups.DEFAULT
    assert f'href="?period={expected}" aria-current="true"' in page.content.decode()


def test_nothing_has_failed(client, queue):
    assert "No job has failed in this time." in text(client.get(PAGE))


def test_no_more_jobs_are_read_than_is_told(client, stored, monkeypatch):
    monkeypatch.setattr(groups, "WINDOW", 2)
    for _ in range(3):
        stored("failed")
    assert "2 jobs failed in this time." in text(client.get(PAGE))
    assert "newest failed jobs are read; there may be more." in text(client.get(PAGE))


@pytest.mark.parametrize(("name", "past"), [("retry", "retried"), ("discard", "discarded")])
def test_a_group_is_asked_for_and_changed(client, stored, name, past):
    chosen = [stored("failed", error=f"order {number}").id for number in range(3)]
    other = stored("failed", error="other")
    form = {"do": key_of(client, name), "period": "1d", "back": f"{PAGE}?period=1d", "ask": "yes"}
    asked = client.post(DO, form)
    assert f"{name.capitalize()} 3 jobs?" in text(asked)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked.content.decode()))
    assert sorted(fields["job"].split(",")) == sorted(chosen)
    answer = client.post(OPERATE, fields, follow=True)
    assert answer.redirect_chain == [(f"{PAGE}?period=1d", 302)]
    shown = text(answer)
    assert f"3 jobs were {past}." in shown
    assert "1 job failed in this time." in shown
    states = "waiting" if name == "retry" else "cancelled"
    assert sorted(jobs.filter(f"status:{states}").ids()) == sorted(chosen)
    assert jobs.get(other.id) == other
    assert all(each in LogEntry.objects.get().change_message for each in chosen)


def test_a_group_of_one_is_asked_for_as_well(client, stored):
    job = stored("failed")
    assert "Retry 1 job?" in text(client.post(DO, {"do": key_of(client), "ask": "yes"}))
    assert jobs.get(job.id) == job


def test_a_group_that_is_gone_is_told(client, stored):
    job = stored("failed")
    key = key_of(client)
    jobs.retry(job.id)
    assert "There are no such failures any more" in text(client.post(DO, {"do": key}), 404)


@pytest.mark.parametrize("do", ["", "retry", "delete:abc", "nonsense", ":", SCRIPT])
def test_what_makes_no_sense_is_told(client, stored, do):
    stored("failed")
    answer = client.post(DO, {"do": do})
    assert answer.status_code in (400, 404)
    require_no_inline(answer.content.decode())


def test_texts_of_jobs_are_no_markup(client, stored):
    stored("failed", error=SCRIPT, task_path=f"a.{SCRIPT}")
    require_no_inline(client.get(PAGE).content.decode())


def test_it_is_closed(stored):
    stored("failed")
    assert Client().get(PAGE)["Location"] == f"/admin/login/?next={PAGE}"
    assert client_of("view_worker").get(PAGE).status_code == 403
    reader = client_of("view_job")
    assert 'name="do"' not in reader.get(PAGE).content.decode()
    assert reader.post(DO, {"do": "retry:abc"}).status_code == 403
    discarding = client_of("view_job", "discard_job")
    content = discarding.get(PAGE).content.decode()
    assert 'value="discard:' in content
    assert 'value="retry:' not in content


def test_a_store_that_is_away_leaves_what_was_last_known(client, stored, queue, monkeypatch):
    stored("failed")
    key = key_of(client)
    groups.forget()

    def away(*_args, **_named):
        raise QueueUnavailable("The store <b> is away.")

    monkeypatch.setattr(type(queue), "list", away)
    shown = text(client.get(PAGE), 503)
    assert "You see what was last known. The store <b> is away." in shown
    assert "1 job failed in this time." in shown
    assert client.get(PAGE, headers=PARTS).status_code == 503
    assert "The store <b> is away." in text(client.post(DO, {"do": key}), 503)
    failures_page.forget()
    assert "The store <b> is away. Try again" in text(client.get(PAGE), 503)


def test_many_viewers_cost_no_more_than_one(client, stored):
    stored("failed")
    client.get(PAGE)
    with CaptureQueriesContext(connection) as queries:
        first = client.get(PAGE, headers=PARTS)
        assert client.get(PAGE, headers={**PARTS, "If-None-Match": first["ETag"]}).status_code == 304
    assert not [each for each in queries if "django_loco" in each["sql"]]
