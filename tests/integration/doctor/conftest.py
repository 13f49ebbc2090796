"""Each durable store in turn, a worker that is registered, and what the doctor says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from django_loco import __version__
from django_loco.core.job import utcnow
from django_loco.management import doctor
from django_loco.management.doctor.finding import Finding
from django_loco.queues import Claim, Queue, queue_for
from django_loco.queues.workers import WorkerInfo
from tests.conftest import ON_POSTGRES

CLAIM = Claim(worker_id="worker-1", lease=60, threads=1_000, coroutines=1_000)


@pytest.fixture(params=["database"] if ON_POSTGRES else ["database", "redis"])
def queue(request: pytest.FixtureRequest, settings: Any, transactional_db: None) -> Iterator[Queue]:
    """The queue of the alias ``default``."""
    if request.param == "redis":
        settings.TASKS = request.getfixturevalue("redis_server").setting(uuid4().hex)
    queue = queue_for("default")
    queue.clear()
    yield queue
    queue.clear()


@pytest.fixture
def register(queue: Queue) -> Callable[..., WorkerInfo]:
    """Registers a worker of every queue, and of jobs with any tags."""

    def register(worker_id: str = "web-1:7:abc", **given: Any) -> WorkerInfo:
        described: dict[str, Any] = {"queues": None, "tags": None, "threads": 10, "coroutines": 100, "lease": 30.0}
        described |= {"host": "web-1", "pid": 7, "started_at": utcnow(), "version": __version__}
        worker = WorkerInfo(worker_id=worker_id, **described | given)
        queue.register(worker)
        return worker

    return register


@pytest.fixture
def worker(register: Callable[..., WorkerInfo]) -> WorkerInfo:
    """A worker that is alive."""
    return register()


def examined(**options: Any) -> doctor.Report:
    return doctor.examine(doctor.Site(doctor.Options(**options)))


def findings(**options: Any) -> list[Finding]:
    """Return everything that is not well."""
    return [each for section in examined(**options).sections for each in section.findings if each.level != "ok"]


def found(name: str, **options: Any) -> Finding:
    """Return the only finding with this id."""
    [finding] = [each for each in findings(**options) if each.id == name]
    if finding.level in ("error", "warning") and finding.id != "loco.E001":  # whose sentence has it
        assert finding.remedy
    return finding


def problems(**options: Any) -> list[str]:
    """Return the ids of the errors and warnings."""
    return [each.id for each in findings(**options) if each.level in ("error", "warning")]
