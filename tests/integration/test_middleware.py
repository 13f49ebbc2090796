"""Ids of requests, in the log and in the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from django_loco.log import labels
from django_loco.queues import queue_for
from django_loco.tasks import enqueue_many
from tests.app import tasks

pytestmark = pytest.mark.urls(__name__)
logger = logging.getLogger("shop")


def page(request: Any) -> HttpResponse:
    logger.warning("in the view")
    return HttpResponse(request.request_id)


async def apage(request: Any) -> HttpResponse:
    await asyncio.sleep(0)
    logger.warning("in the view")
    return HttpResponse(request.request_id)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        logger.warning("in the stream")
        yield "part"

    return StreamingHttpResponse(parts())


def order(request: Any) -> HttpResponse:
    enqueue_many(tasks.add.using(timeout=5), [(1, 2)])
    return HttpResponse(tasks.add.enqueue(1, 2).id)


urlpatterns = [path("page", page), path("apage", apage), path("stream", stream), path("order", order)]


@pytest.fixture
def seen(settings):
    """The ``(message, request_id)`` of each line logged."""
    settings.MIDDLEWARE = ["django_loco.middleware.request_id"]
    found: list[tuple[str, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append((record.getMessage(), record.request_id))
    handler.addFilter(labels.LabelFilter())
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


@pytest.mark.parametrize("url", ["/page", "/apage"])
def test_lines_of_a_request_have_its_id_and_so_has_the_answer(seen, url):
    first, second = Client().get(url), Client().get(url)
    assert seen == [("in the view", first["X-Request-ID"]), ("in the view", second["X-Request-ID"])]
    assert len({first["X-Request-ID"], second["X-Request-ID"]}) == 2
    assert first.content.decode() == first["X-Request-ID"]


@pytest.mark.parametrize("url", ["/page", "/apage"])
def test_under_asgi(seen, url):
    response = async_to_sync(AsyncClient().get)(url)
    assert seen == [("in the view", response["X-Request-ID"])]


def test_a_stream_has_the_id_to_its_end(seen):
    response = Client().get("/stream")
    assert b"".join(response.streaming_content) == b"part"
    assert seen == [("in the stream", response["X-Request-ID"])]


def test_the_thread_forgets_it_afterwards(seen):
    Client().get("/page")
    logger.warning("later")
    assert seen[-1] == ("later", "")


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1_2@x", "abc-1_2@x"), ("a\x1b[31m b", "a31mb"), ("x" * 300, "x" * 255), ("é", None)]
)
def test_an_id_that_the_client_gives_is_kept_less_what_does_not_belong_into_a_log(seen, given, kept):
    response = Client(headers={"X-Request-ID": given}).get("/page")
    assert response["X-Request-ID"] == kept or (kept is None and len(response["X-Request-ID"]) == 32)


@pytest.mark.parametrize("queue", ["memory", "database"])
def test_a_job_keeps_the_id_of_its_request_apart_from_its_options(settings, db, seen, queue):
    options = {"queue": queue, "mode": "BackgroundQueue"}
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": options}}
    answer = Client().get("/order")
    plain, limited = sorted(queue_for("default").list(), key=lambda job: len(job.options))
    assert [plain.request_id, limited.request_id] == [answer["X-Request-ID"]] * 2
    assert (plain.overrides, limited.overrides) == ({}, {"timeout": 5})
    shown = tasks.add.get_result(plain.id).task
    assert shown == tasks.add
    assert tasks.add.get_result(limited.id).task.overrides == ("timeout",)
    assert queue_for("default").get(tasks.add.enqueue(1, 2).id).request_id == ""
