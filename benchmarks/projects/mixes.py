"""One worker that runs one mix of jobs from memory: ``mixes.py MIX ACTIVE_THREADS|auto THREADS JOBS``.

It prints a line of JSON: the seconds, the CPU seconds, and the milliseconds until the first job of a burst began.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django_loco"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TASKS={"default": {"BACKEND": "django_loco.backend.LocoBackend"}},
    WORKER_MODE="BackgroundAsync",
    USE_TZ=True,
)
django.setup()
logging.disable(logging.INFO)

from django_loco.core.job import Job  # noqa: E402 - needs the settings
from django_loco.core.serialization import encode  # noqa: E402
from django_loco.queues.memory import MemoryQueue  # noqa: E402
from django_loco.tasks import task  # noqa: E402
from django_loco.worker.worker import Worker  # noqa: E402

BLOB = os.urandom(2**20)
begun: list[float] = []


@task
def empty() -> None:
    """Do nothing."""


@task
def sleep() -> None:
    """Wait for 50 ms, as a call of another server does."""
    begun.append(time.monotonic())
    time.sleep(0.05)


@task
def python() -> None:
    """Compute for 1 ms in Python."""
    _compute(0.001, lambda: sum(range(50)))


@task
def digest() -> None:
    """Compute for 10 ms in C code that lets go of the interpreter."""
    _compute(0.010, lambda: hashlib.sha256(BLOB).digest())


@task
def query() -> None:
    """Wait four times for 0.2 ms and compute in between, as a few queries do."""
    for _ in range(4):
        sum(range(5_000))
        time.sleep(0.0002)


def _compute(seconds: float, step: Callable[[], object]) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        step()


MIXES: dict[str, tuple[str, ...]] = {
    "empty": ("empty",),
    "sleep": ("sleep",),
    "half": ("empty", "sleep"),
    "python": ("python",),
    "digest": ("digest",),
    "query": ("query",),
    "burst": ("empty",),
}


def jobs(names: tuple[str, ...], count: int, priority: int = 0) -> list[Job]:
    """Return ``count`` jobs of the tasks ``names`` by turns."""
    return [
        Job(
            task_path=f"__main__.{names[number % len(names)]}",
            backend="default",
            arguments=encode([[], {}]),
            priority=priority,
        )
        for number in range(count)
    ]


def main(mix: str, active: str, threads: int, count: int) -> None:
    """Run the jobs, and print how it went."""
    queue = MemoryQueue("default", {})
    queue.enqueue(jobs(MIXES[mix], count))
    worker = Worker(
        queue,
        threads=threads,
        active_threads=None if active == "auto" else int(active),
        coroutines=1,
        lease=30,
        result_ttl=600,
        drain=True,
    )
    began, cpu = time.monotonic(), time.process_time()
    worker.start()
    if mix == "burst":
        while worker.health()["done"] < count / 10:
            time.sleep(0.001)
        enqueued = time.monotonic()
        queue.enqueue(jobs(("sleep",), 40, priority=50))
    worker.join()
    figures = {
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "failed": worker.health()["failed"],
    }
    if mix == "burst":
        figures["first"] = 1000 * (min(begun) - enqueued)
        figures["last"] = 1000 * (max(begun) - enqueued)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
