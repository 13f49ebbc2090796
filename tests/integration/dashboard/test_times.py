"""The zone of times on pages: that of the reader, with and without ``USE_TZ``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_loco.core.job import utcnow
from django_loco.queues.workers import WorkerInfo

from .conftest import LIST, OPERATE, PARTS

pytestmark = pytest.mark.django_db
PROJECT, READER = "Asia/Tokyo", "America/New_York"
AT = datetime(2025, 11, 28, 20, 15, 30, 123_456, tzinfo=UTC)
SHOWN = {"": "2025-11-29 05:15:30", READER: "2025-11-28 15:15:30"}
#: The text of a time, and what a mouse shows on it, are of the same moment as its attribute for programs.
TIME = re.compile(r'<time datetime="([^"]*)"(?: title="([^"]*)")?(?: data-age)?>([^<]*)</time>')


@pytest.fixture(params=[True, False], ids=["use_tz", "without"])
def use_tz(request, settings):
    settings.USE_TZ, settings.TIME_ZONE = request.param, PROJECT


def require_one_zone(content, hours):
    """Require that each time on a page is that many hours before or after UTC."""
    found = TIME.findall(content)
    assert found
    for moment, title, shown in found:
        at = datetime.fromisoformat(moment)
        assert at.utcoffset() == timedelta(hours=hours), moment
        assert not title or title.startswith(f"{at:%Y-%m-%d %H:%M:%S}"), title
        assert f"{at:%H:%M}" in shown, shown


@pytest.mark.parametrize(("reader", "hours"), [("", 9), (READER, -5)])
def test_all_times_of_a_page_are_in_one_zone(client, queue, stored, use_tz, reader, hours):
    job = stored("failed", enqueued_at=AT)
    client.post(OPERATE, {"operation": "retry", "job": job.id})
    LogEntry.objects.update(action_time=AT if timezone.now().tzinfo else timezone.make_naive(AT))
    described = {"worker_id": "worker-1", "host": "web-1", "pid": 1, "queues": None, "tags": None}
    queue.register(WorkerInfo(**described, threads=1, coroutines=1, lease=30.0, started_at=utcnow(), busy=1))
    client.cookies["loco_zone"] = reader
    for address in (f"{LIST}{job.id}/", LIST, "/jobs/", "/jobs/workers/"):
        content = client.get(address).content.decode()
        require_one_zone(content, hours)
        parts = client.get(address, headers=PARTS).json()
        require_one_zone("".join(parts.values()), hours)
    content = client.get(f"{LIST}{job.id}/").content.decode()
    assert content.count(f">{SHOWN[reader]}</time>") == 2, "of the first step of its life, and of what people have done"


def test_times_in_the_admin_are_those_of_the_project(client, stored, use_tz):
    job = stored("failed", enqueued_at=AT)
    client.post(OPERATE, {"operation": "retry", "job": job.id})
    LogEntry.objects.update(action_time=AT if timezone.now().tzinfo else timezone.make_naive(AT))
    content = client.get(f"/admin/django_loco/locojob/{job.id}/change/").content.decode()
    assert f"<time>{SHOWN['']}.123</time>" in content
    assert f'<th scope="row">{SHOWN[""]}</th>' in content
