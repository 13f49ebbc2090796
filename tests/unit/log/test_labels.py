"""Labels of log lines."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading

import pytest

from django_loco.log import labels as log

from .conftest import JOB, record


def labelled(entry: logging.LogRecord, component: str = "") -> str:
    log.LabelFilter(component).filter(entry)
    return str(entry.label)  # type: ignore[attr-defined]


def test_a_line_of_a_job(job):
    entry = record()
    assert labelled(entry) == "[worker] send#9f3a01bc/2"
    assert {name: entry.__dict__[name] for name in log.FIELDS} == JOB | {"request_id": "", "duration": ""}


def test_a_line_of_a_request(request_):
    assert labelled(record()) == "[web] request#5f0c77de"


def test_a_job_of_a_request_is_labelled_with_both(request_, job):
    assert labelled(record()) == "[worker] send#9f3a01bc/2 request=5f0c77de"


def test_what_is_dropped_is_gone_whoever_bound_it(request_):
    log.drop("request_id")
    assert labelled(record()) == "[web]"


def test_what_is_bound_is_bound_to_one_thread_and_taken_back(job):
    token = log.bind(attempt=3)
    assert labelled(record()).endswith("/3")
    log.unbind(token)
    assert labelled(record()).endswith("/2")
    elsewhere: list[str] = []
    thread = threading.Thread(target=lambda: elsewhere.append(contextvars.Context().run(labelled, record())))
    thread.start()
    thread.join()
    assert elsewhere == [""]


def test_asyncio_tasks_do_not_mix_up():
    async def one(task: str) -> str:
        log.bind(component="worker", job_id="x" * 32, task=task, attempt=1)
        await asyncio.sleep(0)
        return labelled(record())

    async def both() -> list[str]:
        return list(await asyncio.gather(one("a"), one("b")))

    assert asyncio.run(both()) == ["[worker] a#xxxxxxxx/1", "[worker] b#xxxxxxxx/1"]


@pytest.mark.parametrize(
    ("logger", "component"),
    [
        ("django.server", "web"),
        ("django.request", "web"),
        ("django_loco.worker.heartbeat", "worker"),
        ("django_loco.scheduler", "scheduler"),
        ("django_loco.scheduling", "default"),
        ("shop", "default"),
    ],
)
def test_the_component_of_a_line_that_nothing_else_tells(logger, component):
    assert labelled(record(logger), "default") == f"[{component}]"


def test_nothing_known_is_an_empty_label():
    assert labelled(record()) == ""
