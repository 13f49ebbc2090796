"""Schedulers look at what schedules have made every second: what those jobs returned must not come with it."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, Outcome
from django_loco.queues import Claim, Queue
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.redis import RedisQueue

COUNT, SIZE = 8, 2_000_000


@pytest.fixture(params=["database", "redis"])
def queue(request: pytest.FixtureRequest, transactional_db: None) -> Queue:
    if request.param == "database":
        return DatabaseQueue("default", {})
    server = request.getfixturevalue("redis_server")
    queue = RedisQueue("default", {"url": server.url, "prefix": "large"})
    queue.clear()
    return queue


def test_results_and_checkpoints_stay_in_the_store(queue: Queue) -> None:
    queue.enqueue([Job(task_path="a.b", backend="default", key=f"export@{number}") for number in range(COUNT)])
    held = queue.fetch(Claim(worker_id="w", lease=60, threads=COUNT))
    large = json.dumps("x" * SIZE)
    for job in held[: COUNT // 2]:
        queue.finish([Outcome(job=job, status=SUCCESSFUL, return_value=large)])
    for job in held[COUNT // 2 :]:
        queue.update(job, "checkpoint", large)
    queue.finish([Outcome(job=held[-1], status=FAILED), Outcome.released(held[-2])])
    queue.series("export")  # whatever is made at first use
    tracemalloc.start()
    try:
        found = queue.series("export")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sorted(job.status.name for job in found) == sorted(
        [*["SUCCESSFUL"] * (COUNT // 2), FAILED.name, READY.name, *["RUNNING"] * (COUNT // 2 - 2)]
    )
    assert peak < SIZE / 2
