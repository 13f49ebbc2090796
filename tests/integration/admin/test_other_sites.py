"""Pages of jobs on an admin site with another name, beside the default site with and without these pages."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.urls import include, path

from django_loco import jobs
from django_loco.admin import JobAdmin, ScheduleAdmin, WorkerAdmin
from django_loco.core.job import utcnow
from django_loco.models import LocoJob, LocoWorker, Schedule
from django_loco.queues.workers import WorkerInfo

from .conftest import text

pytestmark = pytest.mark.django_db
OPS = "/ops/django_loco/"
OTHERS = {"with them": admin.site, "without them": admin.AdminSite()}


@pytest.fixture(params=OTHERS)
def default_site(request, settings):
    ops = admin.AdminSite(name="ops")
    ops.register(LocoJob, JobAdmin)
    ops.register(LocoWorker, WorkerAdmin)
    ops.register(Schedule, ScheduleAdmin)

    class Urls:
        urlpatterns = [
            path("admin/", OTHERS[request.param].urls),
            path("ops/", ops.urls),
            path("jobs/", include("django_loco.urls.dashboard")),
        ]

    settings.ROOT_URLCONF = Urls


@pytest.fixture
def filled(queue, stored):
    """Jobs of which a worker runs one, a queue, a pause and a schedule."""
    found = [stored("failed"), stored("running")]
    described = {"worker_id": str(found[1].worker_id), "host": "web-1", "pid": 1, "queues": None, "tags": None}
    queue.register(WorkerInfo(**described, threads=1, coroutines=1, lease=30.0, started_at=utcnow(), busy=1))
    jobs.pause(tag="bulk")
    Schedule.objects.create(name="nightly", run="tests.app.tasks.add", schedule="every day at 04:00")
    return found


def addresses_on(page):
    """Return the addresses of pages on a page, without that of the project's own first page."""
    found = re.findall(r'(?:href|action|data-url)="(/[^"?#]+)', page)
    return {each for each in found if not each.startswith("/static/")}


@pytest.mark.parametrize(
    "name",
    [
        "locojob/",
        "locojob/?q=queue:default",
        "locojob/?before={failed}&trail=",
        "locojob/{failed}/change/",
        "locojob/{failed}/run-again/",
        "locoworker/",
        "schedule/",
        "schedule/all/",
    ],
)
def test_links_stay_on_the_site(client, default_site, filled, name):
    page = client.get(OPS + name.format(failed=filled[0].id))
    assert page.status_code == 200
    found = addresses_on(page.content.decode())
    assert len(found) > 3
    assert not {each for each in found if not each.startswith("/ops/")}


def test_operations_lead_back_to_the_site(client, default_site, filled):
    failed, running = filled
    page = f"{OPS}locojob/{failed.id}/change/"
    sent = {"operation": "delete", "job": failed.id}
    asked = client.post(f"{OPS}locojob/operate/", sent | {"page": "yes"})
    assert {f"{OPS}locojob/operate/", page} <= addresses_on(asked.content.decode())
    retried = client.post(f"{OPS}locojob/operate/", {"operation": "retry", "job": failed.id, "page": "yes"})
    assert retried["Location"] == page
    assert client.post(f"{OPS}locojob/operate/", {"operation": "none"})["Location"] == f"{OPS}locojob/"
    new = client.post(f"{OPS}locojob/{running.id}/run-again/", {"args": "[1, 2]", "kwargs": "{}"})
    assert new["Location"].startswith(f"{OPS}locojob/")
    assert client.get(f"{OPS}locojob/{'0' * 32}/change/")["Location"] == f"{OPS}locojob/"


def test_workers_on_a_site_without_jobs(client, settings, filled):
    ops = admin.AdminSite(name="ops")
    ops.register(LocoWorker, WorkerAdmin)
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("ops/", ops.urls)]})
    page = client.get(f"{OPS}locoworker/")
    assert "tag bulk" not in text(page)
    assert "bulk Tag default Resume" in text(page)
    assert 'href=""' not in page.content.decode()
