"""The SDK of Sentry in real processes: what the events of jobs carry, and that they carry nothing of others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .project import Project

SETTINGS = """
import json, sentry_sdk
from sentry_sdk.transport import Transport

class Kept(Transport):
    def capture_envelope(self, envelope):
        with (BASE_DIR / "events").open("a") as events:
            for item in envelope.items:
                if item.type == "event":
                    events.write(json.dumps(item.payload.json, default=str) + "\\n")

sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", transport=Kept)
"""
TASKS = """
import logging, sentry_sdk
from django_loco.tasks import task

@task
def tag(): sentry_sdk.set_tag("customer", "another")

@task
async def atag(): sentry_sdk.set_tag("customer", "another")

@task(queue_name="emails", max_attempts=2, backoff=0)
def fail(number): raise ValueError(number)

@task(queue_name="emails", max_attempts=2, backoff=0)
async def afail(number): raise ValueError(number)

@task
def complain(): logging.getLogger("shop").error("no %s", "stock")
"""
ENQUEUE = """
import sentry_sdk
from pages.errors import *
with sentry_sdk.isolation_scope() as scope:
    scope.set_user({"id": "visitor"})
    tag.enqueue(); atag.enqueue()
    for number in range(3):
        fail.enqueue(number); afail.enqueue(number)
    complain.enqueue()
"""


#: Jobs that fail without a call that returns: given up, on the last attempt or before it, and lost with their workers.
FAIL_OTHERWISE = """
import dataclasses
from contextvars import Context
from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, Job, utcnow
from django_loco.exceptions import JobTimeout
from django_loco.worker.claimed_job import ClaimedJob
from django_loco.worker.execution.announcements import announce_apart, announce_lost
from django_loco.worker.execution.preparation import prepare
from django_loco.worker.execution.executor import give_up

new = Job(task_path="pages.errors.fail", backend="default", arguments="[[1],{}]", options={"max_attempts": 2})
for attempts in ((), ("w",)):
    one = dataclasses.replace(new.claimed(worker_id="w", token="t", at=utcnow()), worker_ids=attempts)
    error = JobTimeout("it hangs")
    error.add_note("It was at line 7.")
    Context().run(give_up, prepare(ClaimedJob(one)), error)

error = TaskError(exception_class_path="django_loco.exceptions.LostJob", traceback="LostJob: gone")
announce_apart(announce_lost, dataclasses.replace(new, status=FAILED, errors=(error,)))
"""


@pytest.fixture
def project(project: Project) -> Project:
    project.change("site_settings.py", "DEBUG = True", "DEBUG = True\n" + SETTINGS)
    project.write("pages/errors.py", TASKS)
    return project


def events(project: Project) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.folder / "events").read_text().splitlines()]


@pytest.mark.parametrize("mode", ["BackgroundQueue", "BackgroundAsync", "ForegroundBlocking"])
def test_events_carry_their_job_and_nothing_of_others(project: Project, mode: str) -> None:
    project.change("site_settings.py", 'WORKER_MODE = "BackgroundQueue"', f'WORKER_MODE = "{mode}"')
    project.manage("shell", "--verbosity", "0", "-c", ENQUEUE)
    if mode == "BackgroundQueue":
        project.manage("loco_worker", "--drain", "--concurrency", "1")

    *failures, complaint = sorted(events(project), key=lambda event: "logentry" in event)
    assert len(failures) == 6
    for event in failures:
        [error] = event["exception"]["values"]
        assert (error["type"], error["mechanism"]["handled"]) == ("ValueError", False)
        assert event["tags"].items() >= {"attempt": "2", "queue": "emails"}.items()
        assert event["tags"]["task"] == event["transaction"]
    assert {event["transaction"] for event in failures} == {"pages.errors.fail", "pages.errors.afail"}
    assert len({event["tags"]["job_id"] for event in failures}) == 6
    assert complaint["logentry"]["formatted"] == "no stock"
    assert complaint["tags"].items() >= {"task": "pages.errors.complain", "queue": "default"}.items()
    assert [event for event in [*failures, complaint] if event.get("user") or "customer" in event["tags"]] == []


def test_a_job_that_is_given_up_or_lost_is_one_event(project: Project) -> None:
    project.manage("shell", "--verbosity", "0", "-c", FAIL_OTHERWISE)
    found = events(project)
    assert [event["exception"]["values"][-1]["type"] for event in found] == ["JobTimeout", "LostJob"]
    assert ["logentry" in event for event in found] == [False, False]
    assert found[0]["tags"]["attempt"] == "2"
    crumbs = [crumb["message"] for crumb in found[0]["breadcrumbs"]["values"]]
    assert any("pages.errors.fail is given up: it hangs" in crumb for crumb in crumbs)
