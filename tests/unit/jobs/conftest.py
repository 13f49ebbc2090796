"""Jobs in queues in memory: two aliases of django-loco, and one of Django's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, error_of, first_id, new_id, utcnow
from django_loco.exceptions import JobTimeout
from django_loco.queues import Claim, Queue, queue_for

LOCO = "django_loco.backend.LocoBackend"


@pytest.fixture(autouse=True)
def _memory(settings: Any) -> None:
    """Let the jobs of both aliases wait in memory."""
    settings.TASKS = {
        "default": {"BACKEND": LOCO, "QUEUES": ["default", "emails"], "OPTIONS": {"queue": "memory"}},
        "other": {"BACKEND": LOCO, "QUEUES": [], "OPTIONS": {"queue": "memory"}},
    }


@pytest.fixture
def queue() -> Queue:
    """The queue of the alias ``default``."""
    return queue_for("default")


def id_at(age: float) -> str:
    """Return the id of a job that was enqueued ``age`` seconds ago."""
    return first_id(utcnow() - timedelta(seconds=age))[:12] + new_id()[12:]


def make_job(
    *args: Any, task: str = "tests.app.tasks.echo", backend: str = "default", age: float = 0, **fields: Any
) -> Job:
    """Return a job that calls ``task`` with ``args`` and with the ``kwargs`` among ``fields``."""
    call = [args, fields.pop("kwargs", {})]
    return Job(
        task_path=task,
        backend=backend,
        id=id_at(age),
        arguments=json.dumps(call),
        enqueued_at=utcnow() - timedelta(seconds=age),
        **fields,
    )


#: Stores a job in the state that it is given, and returns it as it is stored.
Stored = Callable[..., Job]


@pytest.fixture
def stored() -> Stored:
    """Store a job in a state: ``stored("failed", 7, queue_name="emails")``."""

    def store(state: str = "waiting", *args: Any, backend: str = "default", **fields: Any) -> Job:
        queue = queue_for(backend)
        job = make_job(*args, backend=backend, **fields)
        if state == "scheduled":
            job = replace(job, run_after=utcnow() + timedelta(hours=1))
        queue.enqueue([job])
        if state not in ("waiting", "scheduled"):
            held = run(queue, job)
            if state != "running":
                assert queue.finish([outcome_of(state, held)]) == set()
        return found(queue, job)

    return store


def run(queue: Queue, job: Job) -> Job:
    """Let a worker hold ``job``, and no other one."""
    held = queue.fetch(Claim(worker_id="worker-1", lease=60, threads=1_000, coroutines=1_000))
    queue.finish([Outcome.released(each) for each in held if each.id != job.id])
    return next(each for each in held if each.id == job.id)


def outcome_of(state: str, held: Job) -> Outcome:
    """Return the outcome after which ``held`` is in a state."""
    error = error_of(JobTimeout, "too slow")
    if state == "retrying":
        return Outcome(job=held, status=READY, error=error, run_after=utcnow() + timedelta(hours=1))
    if state == "failed":
        return Outcome(job=held, status=FAILED, error=error)
    assert state == "done"
    return Outcome(job=held, status=SUCCESSFUL, return_value="1")


def found(queue: Queue, job: Job) -> Job:
    """Return ``job`` as it is stored now."""
    stored = queue.get(job.id)
    assert stored is not None
    return stored
