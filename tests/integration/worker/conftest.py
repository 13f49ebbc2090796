"""What the integration tests of the worker share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_loco.core.job import Job
from django_loco.core.serialization import encode
from django_loco.queues import Queue
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.worker import Worker

from . import tasks


@pytest.fixture(params=[MemoryQueue, DatabaseQueue], ids=["memory", "database"])
def queue(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Queue]:
    tasks.used.clear()
    queue = request.param("default", {})
    yield queue
    queue.clear()


@pytest.fixture
def start(queue: Queue) -> Iterator[Callable[..., Worker]]:
    """Start workers that are gone after the test."""
    workers: list[Worker] = []

    def start(**options: Any) -> Worker:
        worker = Worker(queue, **{"threads": 2, "coroutines": 20, "lease": 30, "result_ttl": 60, **options})
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        worker.stop(time.monotonic() + 5)
    for worker in workers:
        assert worker.join(10)


@pytest.fixture
def run(queue: Queue, start: Callable[..., Worker]) -> Callable[..., list[Job]]:
    """Run jobs to their end, by a worker that ends with them; return them as they are then."""

    def run(*calls: tuple[Any, ...], **options: Any) -> list[Job]:
        jobs = queue.enqueue([job(*call) for call in calls])
        worker = start(drain=True, **options)
        assert worker.join(40)
        return [one for stored in jobs if (one := queue.get(stored.id))]

    return run


def job(name: str, *args: Any) -> Job:
    return Job(
        task_path=f"{tasks.__name__}.{name}",
        backend="default",
        is_async=name.startswith("a"),
        arguments=encode([args, {}]),
    )


class Opened:
    """Every connection that was opened during a test, in whatever thread."""

    def __init__(self) -> None:
        self.all: list[tuple[BaseDatabaseWrapper, Any]] = []

    def receive(self, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        self.all.append((connection, connection.connection))

    def still_open(self) -> list[BaseDatabaseWrapper]:
        own = connections["default"]
        return [wrapper for wrapper, raw in self.all if wrapper is not own and wrapper.connection is raw]


@pytest.fixture
def opened() -> Iterator[Opened]:
    opened = Opened()
    connection_created.connect(opened.receive)
    yield opened
    connection_created.disconnect(opened.receive)
