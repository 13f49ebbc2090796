"""Every queue in turn, and a worker that runs what is due."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_loco.queues import Claim, Queue, queue_for
from django_loco.worker import in_process
from tests.conftest import ON_POSTGRES

SECONDS = 40.0
LOCO = "django_loco.backend.LocoBackend"
CLAIM = Claim(worker_id="worker-1", lease=60, threads=1_000, coroutines=1_000)


@pytest.fixture(params=["database"] if ON_POSTGRES else ["database", "memory", "redis"], autouse=True)
def queue(request: pytest.FixtureRequest, settings: Any) -> Iterator[Queue]:
    """The queue of the alias ``default``; the alias ``bulk`` has its jobs in the same store."""
    if request.param == "redis":
        aliases = {
            alias: request.getfixturevalue("redis_server").setting(alias)["default"] for alias in ("default", "bulk")
        }
    else:
        aliases = {
            alias: {"BACKEND": LOCO, "QUEUES": ["default", "emails"], "OPTIONS": {"queue": request.param}}
            for alias in ("default", "bulk")
        }
    settings.TASKS = aliases
    for alias in aliases:
        queue_for(alias).clear()
    yield queue_for("default")
    for alias in aliases:
        queue_for(alias).clear()


def drain(alias: str = "default") -> None:
    """Let a worker run all jobs that are due."""
    worker = in_process.worker_for(alias, threads=2, coroutines=2, drain=True)
    worker.start()
    assert worker.join(SECONDS)
