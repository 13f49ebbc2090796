"""What the integration tests of the scheduler share."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.test import override_settings

from django_loco.queues import Queue, queue_for
from django_loco.scheduler import Registry
from django_loco.scheduler.registry import default

from ...conftest import ON_POSTGRES

MEMORY = {
    "default": {
        "BACKEND": "django_loco.backend.LocoBackend",
        "QUEUES": ["default", "emails"],
        "OPTIONS": {"queue": "memory"},
    }
}


@pytest.fixture(params=["database"] if ON_POSTGRES else ["database", "redis", "memory"])
def any_queue(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Queue]:
    """The queue of the tasks, one of each kind after the other."""
    if request.param == "database":
        yield queue_for("default")
        return
    tasks = MEMORY if request.param == "memory" else request.getfixturevalue("redis_server").setting(uuid4().hex)
    with override_settings(TASKS=tasks):
        yield queue_for("default")
        queue_for("default").clear()


@pytest.fixture
def own_schedules(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The project's schedules: none, until a test declares some."""
    registry = Registry(strict=True)
    monkeypatch.setattr(default, "_undiscovered", False)
    monkeypatch.setattr(default, "_entries", registry._entries)
    monkeypatch.setattr(default, "_problems", registry._problems)
    return registry
