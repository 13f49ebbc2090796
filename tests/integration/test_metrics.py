"""The page of metrics in a site: who may see it, and what is in it."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError
from django.test import Client
from django.urls import include, path

from django_loco import scheduler
from django_loco.core.job import utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.models import Schedule
from django_loco.process.health import snapshots as snapshots_module
from django_loco.process.health.probe import Probe
from django_loco.queues import queue_for
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
from django_loco.queues.workers import Role, WorkerInfo
from tests.app.tasks import add

from .scheduler.conftest import own_schedules  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]
urlpatterns = [path("", include("django_loco.urls.metrics"))]

TOKEN = "4ebf1e3a9c6d42f0"


@pytest.fixture(autouse=True)
def token(settings):
    settings.LOCO = {**settings.LOCO, "METRICS_TOKEN": TOKEN}
    snapshots_module.forget()
    queue_for("default").clear()
    yield
    snapshots_module.forget()


def get(**headers: str):
    return Client(headers=headers).get("/metrics")


def scraped() -> list[str]:
    response = get(authorization=f"Bearer {TOKEN}")
    assert response.status_code == 200
    return response.content.decode().splitlines()


def test_the_token_opens_it():
    response = get(authorization=f"Bearer {TOKEN}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "no-store" in response.headers["Cache-Control"]
    assert Client(headers={"authorization": f"Bearer {TOKEN}"}).post("/metrics").status_code == 405


def test_the_token_is_enough_where_all_pages_want_a_login(settings):
    login = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, login]
    assert get(authorization=f"bearer {TOKEN}").status_code == 200
    assert get().status_code == 401


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, 'Send "Authorization: Bearer TOKEN" with the token of LOCO["METRICS_TOKEN"]'),
        ({"authorization": "Bearer wrong"}, 'The token is not that of LOCO["METRICS_TOKEN"].'),
        ({"authorization": "Bearer \u00fc"}, 'The token is not that of LOCO["METRICS_TOKEN"].'),
        ({"authorization": f"Basic {TOKEN}"}, 'Send "Authorization: Bearer TOKEN"'),
    ],
)
def test_without_the_token_it_says_what_is_missing(headers, reason):
    response = get(**headers)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert response.content.decode().startswith(reason)


def test_no_token_opens_it_unless_one_is_set(settings):
    settings.LOCO = {}
    for given in (TOKEN, "", "None"):
        response = get(authorization=f"Bearer {given}")
        assert response.status_code == 401
        assert b"is not set" in response.content


def browser_of(**fields: Any) -> Client:
    """Return the browser of a member of staff who may see jobs."""
    user = User.objects.create_user("anna", **{"is_staff": True, **fields})
    user.user_permissions.add(Permission.objects.get(codename="view_job", content_type__app_label="django_loco"))
    client = Client()
    client.force_login(user)
    return client


def test_a_user_needs_what_the_dashboard_wants():
    client = Client()
    client.force_login(User.objects.create_user("ben"))
    response = client.get("/metrics")
    assert (response.status_code, response.content) == (
        403,
        b"The user ben lacks staff status and the permission django_loco.view_job.\n",
    )
    client = browser_of(is_staff=False)
    assert client.get("/metrics").content == b"The user anna lacks staff status.\n"
    User.objects.filter(username="anna").update(is_staff=True)
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        ("", 200, "# HELP"),
        ("queue:acme", 403, "The user anna sees a part of the jobs only, and this page is about all of them."),
        ("nobody", 403, ""),
        ("number", 503, "The site does not say which jobs you may see. Its log tells why."),
    ],
)
def test_a_user_who_sees_a_part_of_the_jobs_sees_no_metrics(settings, caplog, seen, status, reason):
    settings.LOCO = {**settings.LOCO, "DASHBOARD": "tests.app.tenants.seen_by"}
    response = browser_of(first_name=seen).get("/metrics")
    assert (response.status_code, response.content.decode()[: len(reason)]) == (status, reason)
    assert ("LOCO['DASHBOARD']" in caplog.text) == (status == 503)
    assert get(authorization=f"Bearer {TOKEN}").status_code == 200, "the token is nobody's"


def test_what_is_in_the_queue_is_on_the_page():
    add.enqueue(1, 2)
    labels = Labels(minute_of(1_800_000_000), "default", "shop.send", "failed")
    queue_for("default").record([Minute(labels, (3, *[0] * (len(NUMBERS) - 1)))])
    lines = scraped()
    assert 'loco_queue_jobs{backend="default",queue="default",state="ready"} 1' in lines
    assert 'loco_jobs_finished_total{backend="default",queue="default",task="shop.send",outcome="failed"} 3' in lines


def test_the_queue_is_asked_once_in_five_seconds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(snapshots_module, "Probe", partial(Probe, clock=lambda: now[0]))
    ready = 'loco_queue_jobs{backend="default",queue="default",state="ready"}'
    assert f"{ready} 0" in scraped()
    add.enqueue(1, 2)
    now[0] = 4.9
    assert f"{ready} 0" in scraped()
    now[0] = 5.1
    assert f"{ready} 1" in scraped()


def test_a_queue_that_is_away_or_hangs_is_said_to_be_down(monkeypatch, caplog):
    def away() -> None:
        raise QueueUnavailable("the store is away")

    queue = queue_for("default")
    monkeypatch.setattr(queue, "totals", away)
    down = 'loco_queue_up{backend="default"} 0'
    assert down in scraped()
    assert "TASKS['default'] does not answer, so its metrics are missing: the store is away" in caplog.text
    ended = threading.Event()
    monkeypatch.setattr(queue, "totals", lambda: ended.wait(20))
    monkeypatch.setattr(snapshots_module, "ANSWER_SECONDS", 0.01)
    snapshots_module.forget()
    assert down in scraped()
    ended.set()
    snapshots_module._probes["default"].begin().exception(20)


def scheduler_entry(**given: Any) -> WorkerInfo:
    described: dict[str, Any] = {"worker_id": "web-1:7:abc/0", "host": "web-1", "pid": 7, "queues": (), "tags": None}
    described |= {"threads": 0, "coroutines": 0, "lease": 30.0, "started_at": utcnow(), "role": Role.SCHEDULER}
    return WorkerInfo(**described | given)


def test_schedules_that_nobody_fires_are_seen(own_schedules, monkeypatch):  # noqa: F811
    """These numbers together are what the alert is about."""
    now = [0.0]
    monkeypatch.setattr(snapshots_module, "Probe", partial(Probe, clock=lambda: now[0]))
    own_schedules.daily(add, at="04:00", args=[1, 2], name="nightly")
    Schedule.objects.create(name="row", run=add.module_path, args=[1, 2], schedule="every hour")
    assert {"loco_schedules 2", 'loco_schedulers{backend="default"} 0'} <= set(scraped())
    queue_for("default").register(scheduler_entry())
    scheduler.pause("row")
    now[0] = 6.0
    assert {"loco_schedules 2", 'loco_schedulers{backend="default"} 1'} <= set(scraped()), "counted once a minute"
    now[0] = 61.0
    assert "loco_schedules 1" in scraped()


@pytest.mark.parametrize("mode", ["BackgroundAsync", "ForegroundBlocking"])
def test_schedulers_that_others_do_not_see_are_not_counted(settings, mode):
    settings.WORKER_MODE = mode
    assert not [line for line in scraped() if "loco_schedulers" in line]


def test_schedules_that_cannot_be_counted_are_missing(monkeypatch, caplog):
    def away() -> int:
        raise DatabaseError("gone")

    monkeypatch.setattr(snapshots_module, "count_on", away)
    lines = scraped()
    assert 'loco_queue_up{backend="default"} 1' in lines
    assert not [line for line in lines if "loco_schedules" in line]
    assert "The schedules cannot be counted, so their metric is missing: gone" in caplog.text
