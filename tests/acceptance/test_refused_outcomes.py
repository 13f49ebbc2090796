"""A worker whose Redis can never take what one of its jobs returned."""

from __future__ import annotations

import time

from django_loco.core.job import FAILED, SUCCESSFUL, Job
from django_loco.queues import Queue
from django_loco.queues.redis import RedisQueue
from tests.redis_server import RedisServer

from .project import Project

TASKS = """
from django_loco.tasks import task

@task
def big(): return "x" * 2_000_000

@task
def small(): return 1
"""
SECONDS = 20.0


def enqueue(queue: Queue, name: str) -> Job:
    [job] = queue.enqueue([Job(task_path=f"pages.tasks.{name}", backend="default")])
    return job


def ended(queue: Queue, job: Job) -> Job:
    deadline = time.monotonic() + SECONDS
    while (stored := queue.get(job.id)) is None or stored.finished_at is None:
        assert time.monotonic() < deadline, stored
        time.sleep(0.02)
    return stored


def test_it_fails_that_job_runs_the_others_and_ends_in_good_order(project: Project) -> None:
    with RedisServer() as server:
        with server.client() as client:
            client.config_set("proto-max-bulk-len", 2**20)
        project.write("pages/tasks.py", TASKS)
        project.write("pages/urls.py", "urlpatterns = []")
        project.settings |= {"TASKS": server.setting(), "LOCO": {"LEASE": 5, "SHUTDOWN_TIMEOUT": 10}}
        queue = RedisQueue("default", {"url": server.url})
        before, big, beside = (enqueue(queue, name) for name in ("small", "big", "small"))
        worker = project.start("loco_worker")
        assert [ended(queue, job).status for job in (before, big, beside)] == [SUCCESSFUL, FAILED, SUCCESSFUL]
        worker.wait_for("outcome of job .* is replaced.*MAX_RESULT_SIZE")
        assert ended(queue, enqueue(queue, "small")).status == SUCCESSFUL
        assert worker.terminate() == 0
        queue.server.client.connection_pool.disconnect()
