"""URLs that jobs make begin with ``FORCE_SCRIPT_NAME``, as they do in requests and in the main thread of commands."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.urls import reverse

from django_loco.core.compat import task_finished
from django_loco.tasks import task
from django_loco.testing import live_worker

pytestmark = pytest.mark.django_db(transaction=True)


@task
def url():
    return reverse("admin:index")


@task
async def aurl():
    return [reverse("admin:index"), await sync_to_async(reverse)("admin:index")]


@pytest.fixture
def announced():
    """The URLs that receivers of ``task_finished`` make."""
    urls = []

    def note(**_values):
        urls.append(reverse("admin:index"))

    task_finished.connect(note)
    yield urls
    task_finished.disconnect(note)


@pytest.fixture(autouse=True)
def _prefix(settings):
    settings.FORCE_SCRIPT_NAME = "/shop"


def results() -> list[object]:
    return [result.wait(timeout=20).return_value for result in (url.enqueue(), aurl.enqueue())]


@pytest.mark.parametrize("mode", ["BackgroundAsync", "BackgroundQueue", "ForegroundBlocking"])
def test_urls_of_jobs_and_receivers_have_the_prefix(settings, announced, mode):
    settings.WORKER_MODE = mode
    if mode == "ForegroundBlocking":
        found = results()
    else:
        with live_worker():
            found = results()
    assert found == ["/shop/admin/", ["/shop/admin/", "/shop/admin/"]]
    assert announced == ["/shop/admin/"] * 2
