"""The dashboard's page of limits, on every queue."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_loco import jobs
from django_loco.core.job import READY, Outcome, utcnow
from django_loco.dashboard.pages.limits import facts
from django_loco.dashboard.pages.limits.page import limits_page
from django_loco.exceptions import QueueUnavailable
from django_loco.queues.claim import declared_limits
from tests.integration.admin.conftest import client_of, text
from tests.integration.jobs.conftest import CLAIM

from .conftest import PARTS, require_no_inline

pytestmark = pytest.mark.django_db
LIMITS, CHANGE = "/jobs/limits/", "/jobs/limits/change"
API = json.dumps(["default", "api"])
DECLARED = {"api": {"concurrency": 2}, "mail": {"rate": "1/h"}, "db.x": {"concurrency": 1, "rate": "9/s", "burst": 3}}
HOSTILE = 'mail:"><script>alert(1)</script>/..'


@pytest.fixture(autouse=True)
def declared(settings):
    settings.LOCO = {**settings.LOCO, "LIMITS": DECLARED}
    limits_page.forget()
    facts.forget()


def form(value=API, **fields):
    return {"change": value, **{f"{name} {value}": each for name, each in fields.items()}}


def held(queue, number=100):
    """Let a worker take jobs."""
    return queue.fetch(replace(CLAIM, threads=number, coroutines=number, limits=declared_limits()))


def test_no_limits(client, queue, settings):
    settings.LOCO = {**settings.LOCO, "LIMITS": {}}
    assert 'Declare one in the settings, and name it in a task: LOCO = {"LIMITS"' in text(client.get(LIMITS))


def test_how_limits_are_used(client, queue, stored):
    for _ in range(5):
        stored(limit_key="api", enqueued_at=utcnow() - timedelta(seconds=130))
    for number in range(3):
        stored(limit_key=f"mail:{number}")
    stored(limit_key="mail:2 api")
    took = held(queue)
    assert len(took) == 5
    shown = text(client.get(LIMITS))
    assert "api default 2 of 2 any 4 2 min full" in shown
    assert "mail default for each key 3 any number 1/h 1 at once, for each key 1 0 s" in shown
    assert "1 key waits" in shown
    assert "db.x default 0 of 1 9/s 0 of 3 starts used 0 - not used" in shown
    content = client.get(LIMITS).content.decode()
    assert 'href="/jobs/jobs/?q=status%3Awaiting+limit%3Aapi+backend%3Adefault"' in content
    holder = next(job for job in took if job.limit_key == "api")
    assert f'<a href="/jobs/jobs/{holder.id}/" title="tests.app.tasks.add">add</a>' in content
    assert '<a href="/jobs/limits/" aria-current="page">Limits</a>' in content
    require_no_inline(content)


def test_a_job_that_waits_for_a_limit_links_to_it(client, queue, stored):
    first, second, third = (stored(limit_key="api") for _ in range(3))
    running = {job.id for job in held(queue)}
    waiting = next(job for job in (first, second, third) if job.id not in running)
    content = client.get(f"/jobs/jobs/{waiting.id}/").content.decode()
    assert content.count('<a href="/jobs/limits/#limit-default-api">') == 2
    assert "See the limit" in content
    assert 'id="limit-default-api"' in client.get(LIMITS).content.decode()


def test_a_limit_that_a_job_has_closed_is_throttled(client, queue, stored):
    stored(limit_key="api")
    stored(limit_key="api")
    job = held(queue, 1)[0]
    closing = Outcome(job=job, status=READY, run_after=None, closes=("api",), closed_for=300.0)
    queue.finish([closing])
    answer = text(client.get(LIMITS))
    assert "throttled" in answer
    assert "As declared" in answer
    assert "throttled" not in text(client.post(CHANGE, {"reset": API}, follow=True))


def test_a_limit_is_changed_and_reset(client, queue):
    answer = client.post(CHANGE, form(concurrency="7", rate="20/m", burst=""), follow=True)
    assert "api: Changed to concurrency 7, rate 20/m." in text(answer)
    assert "api changed default 0 of 7 20/m 0 of 1 starts used" in text(answer)
    state = next(each for each in jobs.limits(backend="default") if each.name == "api")
    assert (state.concurrency, state.rate, state.burst, state.is_changed) == (7, "20/m", 1, True)
    assert "As declared" in text(answer)
    assert "Reset to what" in text(client.post(CHANGE, {"reset": API}, follow=True))
    assert not any(each.is_changed for each in jobs.limits())
    assert [(each.object_id, each.change_message) for each in LogEntry.objects.order_by("pk")] == [
        ("default: limit api", "Changed to concurrency 7, rate 20/m."),
        ("default: limit api", "Reset to what LOCO['LIMITS'] declares."),
    ]


def test_a_change_by_somebody_else_is_not_undone(client, queue):
    """A page that was loaded before has the former values in its form."""
    value = json.dumps(["default", "db.x"])
    shown = "concurrency 1, rate 9/s, burst 3"
    page = html.unescape(client.get(LIMITS).content.decode())
    assert f'name="shown {value}" value="{shown}"' in page
    sent = form(value, concurrency="2", rate="9/s", burst="3", shown=shown)
    jobs.set_limit("db.x", rate=None, burst=None, backend="default")
    answer = text(client.post(CHANGE, sent), 409)
    assert "Somebody has changed this limit in the meantime: concurrency 1. Nothing was changed." in answer
    assert not LogEntry.objects.exists()
    assert "db.x changed default 0 of 1 any" in text(client.get(LIMITS)), "the back link leads to present values"
    assert client.post(CHANGE, {**sent, f"shown {value}": "concurrency 1"}).status_code == 302
    assert "db.x changed default 0 of 2 9/s" in text(client.get(LIMITS))


def test_a_part_of_a_limit_is_taken_away(client, queue):
    value = json.dumps(["default", "db.x"])
    client.post(CHANGE, form(value, concurrency="", rate="9/s", burst="3"))
    assert "db.x changed default 0 any number 9/s" in text(client.get(LIMITS))
    client.post(CHANGE, form(value, concurrency="2", rate="", burst="3"))
    assert "db.x changed default 0 of 2 any" in text(client.get(LIMITS)), "the page has filled in the burst"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (form(concurrency="", rate="", burst=""), "limits nothing"),
        (form(concurrency="x", rate="", burst=""), "concurrency"),
        (form(concurrency="-1", rate="", burst=""), "concurrency"),
        (form(concurrency="9" * 30, rate="", burst=""), "concurrency"),
        (form(concurrency="٣", rate="", burst=""), "concurrency"),
        (form(concurrency="2", rate="100/fortnight", burst=""), "jobs per second"),
        (form(concurrency="2", rate="", burst="3"), "Add a rate, or remove the burst."),
        (form(json.dumps(["default", "apy"]), concurrency="2"), "Did you mean 'api'?"),
        (form(json.dumps(["nowhere", "api"]), concurrency="2"), "Name a limit by its alias and its name."),
        (form(json.dumps(["default", "\0"]), concurrency="2"), "no limit"),
        (form("nonsense", concurrency="2"), ""),
        (form('"ab"', concurrency="2"), "Name a limit"),
        (form("[[], []]", concurrency="2"), "Name a limit"),
        ({"reset": json.dumps(["default", "apy"])}, "Did you mean 'api'?"),
        ({}, "Name a limit"),
        ({"change": "[" * 100_000}, ""),
        ({"reset": "[" * 100_000}, ""),
    ],
)
def test_changes_that_mean_nothing(client, queue, sent, reason):
    assert reason in text(client.post(CHANGE, sent), 400)
    assert not any(each.is_changed for each in jobs.limits())
    assert not LogEntry.objects.exists()


def test_who_may_not_change_limits_is_refused(queue):
    reader = client_of("view_job")
    assert "<button" not in reader.get(LIMITS).content.decode()
    assert reader.post(CHANGE, form(concurrency="9", rate="", burst="")).status_code == 403
    assert client_of("change_limit").post(CHANGE, form(concurrency="9", rate="", burst="")).status_code == 403
    assert not any(each.is_changed for each in jobs.limits())
    assert client_of("view_worker").get(LIMITS).status_code == 403
    assert (
        client_of("view_job", "change_limit").post(CHANGE, form(concurrency="9", rate="", burst="")).status_code == 302
    )


def test_tenants(queue, stored, settings):
    settings.LOCO = {**settings.LOCO, "DASHBOARD": "tests.app.tenants.seen_by"}
    for _ in range(3):
        stored(limit_key="api:secret")
    held(queue)
    everything = ("view_job", "change_limit")
    narrowed = client_of(*everything, first_name="queue:default")
    assert narrowed.get(LIMITS).status_code == 403
    assert narrowed.post(CHANGE, form(concurrency="9", rate="", burst="")).status_code == 403
    assert "Limits" not in text(narrowed.get("/jobs/jobs/"))
    assert "/jobs/limits/" not in narrowed.get(f"/jobs/jobs/{jobs.filter('status:waiting')[0].id}/").content.decode()
    other = client_of(*everything, first_name="backend:bulk")
    shown = other.get(LIMITS).content.decode()
    assert "secret" not in shown
    assert "limit-bulk-api" in shown
    assert "limit-default-api" not in shown
    assert other.post(CHANGE, form(concurrency="9", rate="", burst="")).status_code == 403
    assert other.post(CHANGE, form(json.dumps(["bulk", "api"]), concurrency="9", rate="", burst="")).status_code == 302
    assert {(each.backend, each.concurrency) for each in jobs.limits() if each.is_changed} == {("bulk", 9)}


def test_many_keys_and_hostile_ones(client, queue, stored):
    for number in range(30):
        stored(limit_key=f"mail:{number}")
    for _ in range(2):
        stored(limit_key=HOSTILE)
    content = client.get(LIMITS).content.decode()
    assert "and 11 more keys" in content
    assert content.index("alert(1)") < content.index("mail:29")
    require_no_inline(content)


def test_a_store_that_is_away(client, queue, monkeypatch):
    client.get(LIMITS)

    def away(*_args, **_options):
        raise QueueUnavailable("The store <b> is away.")

    monkeypatch.setattr(type(queue), "limit_use", away)
    monkeypatch.setattr(type(queue), "set_limit", away)
    facts.forget()
    assert "You see what was last known." in text(client.get(LIMITS), 503)
    assert client.get(LIMITS, headers=PARTS).status_code == 503
    assert client.post(CHANGE, form(concurrency="9", rate="", burst="")).status_code == 503


def test_what_has_not_changed_is_not_sent_again_and_takes_few_queries(client, queue, stored):
    for _ in range(5):
        stored(limit_key="api")
    held(queue)
    first = client.get(LIMITS, headers=PARTS)
    facts.forget()
    with CaptureQueriesContext(connection) as queries:
        again = client.get(LIMITS, headers={**PARTS, "If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert len(queries) <= 14, "of two aliases"
    assert not re.search("csrf", first.content.decode())
