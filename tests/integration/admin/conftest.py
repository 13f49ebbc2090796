"""Jobs in every state, on every queue in turn, and people who look at them in the admin."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, error_of, utcnow
from django_loco.exceptions import JobCancelled
from django_loco.queues import Queue
from tests.integration.jobs import conftest
from tests.integration.jobs.conftest import CLAIM

queue = conftest.queue

JOBS, WORKERS = "/admin/django_loco/locojob/", "/admin/django_loco/locoworker/"
STATES = ("waiting", "scheduled", "retrying", "running", "failed", "cancelled", "done")


def change(job: Job | str) -> str:
    """Return the address of the page of a job."""
    return f"{JOBS}{job if isinstance(job, str) else job.id}/change/"


def client_of(*permissions: str, **user: Any) -> Client:
    """Return the browser of a new user with these permissions."""
    client = Client()
    made = User.objects.create_user(f"user-{User.objects.count()}", is_staff=True, **user)
    found = Permission.objects.filter(content_type__app_label="django_loco", codename__in=permissions)
    assert found.count() == len(permissions)
    made.user_permissions.set(found)
    client.force_login(made)
    return client


@pytest.fixture
def client(db: None) -> Client:
    """The browser of a superuser."""
    return client_of(is_superuser=True)


@pytest.fixture
def stored(queue: Queue) -> Callable[..., Job]:
    """Store a job in a state; return it as it is in the queue."""

    def store(
        state: str = "waiting", error: str = "ValueError: boom", result: str = '{"sum": 3.10}', **fields: Any
    ) -> Job:
        job = Job(**{"task_path": "tests.app.tasks.add", "backend": "default", "arguments": "[[1, 2], {}]"} | fields)
        if state == "scheduled":
            job = replace(job, run_after=utcnow() + timedelta(hours=1))
        queue.enqueue([job])
        if state not in ("waiting", "scheduled"):
            job = _held(queue, job)
        if state not in ("waiting", "scheduled", "running"):
            queue.finish([_outcome(job, state, error, result)])
        found = queue.get(job.id)
        assert found is not None
        return found

    return store


def _held(queue: Queue, job: Job) -> Job:
    """Let a worker hold ``job``, and no other one."""
    held = queue.fetch(CLAIM)
    queue.finish([Outcome.released(each) for each in held if each.id != job.id])
    return next(each for each in held if each.id == job.id)


def _outcome(job: Job, state: str, text: str, result: str) -> Outcome:
    if state == "done":
        return Outcome(job=job, status=SUCCESSFUL, return_value=result)
    if state == "cancelled":
        return Outcome(job=job, status=FAILED, error=error_of(JobCancelled, "cancelled by anna"))
    error = error_of(ValueError, text)
    if state == "retrying":
        return Outcome(job=job, status=READY, error=error, run_after=utcnow() + timedelta(hours=1))
    return Outcome(job=job, status=FAILED, error=error)


def text(response: Any, status: int = 200) -> str:
    """Return what is read on a page, without tags and in one line."""
    assert response.status_code == status
    content = re.sub(r"<[^>]+>", " ", response.content.decode())
    return " ".join(html.unescape(content).split())
