"""What the tests of the worker share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_loco.queues.memory import MemoryQueue
from django_loco.worker import backoff
from django_loco.worker.worker import Worker

from . import tasks


@pytest.fixture(autouse=True)
def _fresh_tasks() -> Iterator[None]:
    tasks.told.clear()
    tasks.events.clear()
    yield
    for event in list(tasks.events.values()):
        event.set()  # no job outlives its test


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue("default", {})


@pytest.fixture
def start(queue: MemoryQueue) -> Iterator[Callable[..., Worker]]:
    """Start workers that are gone after the test."""
    workers: list[Worker] = []

    def start(on: Any = queue, **options: Any) -> Worker:
        worker = Worker(on, **{"threads": 2, "coroutines": 2, "lease": 30, "result_ttl": 60, **options})
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for event in list(tasks.events.values()):
        event.set()
    for worker in workers:
        worker.stop(time.monotonic() + 5)
    for worker in workers:
        assert worker.join(10)


@pytest.fixture
def nimble() -> Iterator[None]:
    """Let threads change between almost any two instructions, rather than every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back soon after an error of the queue."""
    monkeypatch.setattr(backoff, "MAX_DELAY_SECONDS", 0.05)
