"""Jobs, options and shortages that must cost neither a thread, nor a slot, nor an end."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from _pytest.logging import LogCaptureHandler
from asgiref.sync import sync_to_async

from django_loco.core.job import FAILED, RUNNING, SUCCESSFUL, Job
from django_loco.queues.memory import MemoryQueue
from django_loco.tasks import task
from django_loco.worker.worker import Worker

claimed_jobs: list[str] = []


class Unmanageable(Exception):
    """Cannot be formatted."""

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


@task
def raise_unmanageable() -> None:
    raise Unmanageable


@task
async def araise_unmanageable() -> None:
    raise Unmanageable


@task
def fine() -> None:
    pass


@task(max_attempts=3)
def failing() -> None:
    claimed_jobs.append("failing")
    raise ValueError


@task
async def afine() -> None:
    await sync_to_async(fine.func)()


@task
async def acancel_all() -> None:
    for other in asyncio.all_tasks():
        if other is not asyncio.current_task():
            other.cancel()


@task(timeout=0.1)
async def astuck() -> None:
    await sync_to_async(time.sleep)(20)


@pytest.fixture
def queue():
    claimed_jobs.clear()
    return MemoryQueue("default", {})


@pytest.fixture
def start(queue):
    workers = []

    def start(**options):
        workers.append(Worker(queue, **{"threads": 2, "coroutines": 5, "lease": 30, "result_ttl": 60, **options}))
        workers[-1].start()
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop(time.monotonic() + 2)
        worker.join(10)


def enqueue(queue, name: str, count: int = 1) -> list[str]:
    path = f"{__name__}.{name}"
    jobs = [Job(task_path=path, backend="default", is_async=name.startswith("a")) for _ in range(count)]
    return [job.id for job in queue.enqueue(jobs)]


def statuses_in_the_end(queue, ids, seconds=6.0):
    deadline = time.monotonic() + seconds
    while not all(queue.get(one).finished_at for one in ids) and time.monotonic() < deadline:
        time.sleep(0.01)
    return [queue.get(one).status for one in ids]


@pytest.mark.parametrize("name", ["raise_unmanageable", "araise_unmanageable"])
def test_an_exception_that_cannot_be_formatted_fails_its_job_alone(queue, start, name, monkeypatch):
    # Nor can pytest format it: the plug-in that captures logs would raise what logging itself only prints.
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    monkeypatch.setattr(LogCaptureHandler, "handleError", lambda self, record: None)
    start()
    ids = enqueue(queue, name, 5)
    assert statuses_in_the_end(queue, ids) == [FAILED] * 5
    assert statuses_in_the_end(queue, enqueue(queue, "fine")) == [SUCCESSFUL]


def test_what_is_no_exception_type_in_retry_on_does_not_run_a_job_for_ever(queue, start, settings):
    settings.LOCO = {"TASKS": {f"{__name__}.failing": {"retry_on": ["os.path.join"]}}}
    start()
    assert statuses_in_the_end(queue, enqueue(queue, "failing")) == [FAILED]


def test_async_jobs_that_another_job_cancels_before_they_begin_come_to_an_end(queue, start):
    ids = enqueue(queue, "acancel_all") + enqueue(queue, "afine", 4)
    start()
    assert RUNNING not in statuses_in_the_end(queue, ids)


def test_threads_that_async_jobs_have_blocked_for_good_are_replaced(queue, start):
    start(threads=2)
    stuck = enqueue(queue, "astuck", 2)
    assert statuses_in_the_end(queue, stuck) == [FAILED] * 2
    assert statuses_in_the_end(queue, enqueue(queue, "afine")) == [SUCCESSFUL]


def test_a_system_without_threads_for_a_while_strands_no_job(queue, start, monkeypatch):
    short = threading.Event()
    begin = threading.Thread.start

    def start_thread(thread):
        if thread.name == "loco-worker-1" and not short.is_set():
            short.set()
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start_thread)
    ids = enqueue(queue, "fine") + enqueue(queue, "afine")
    start()
    assert statuses_in_the_end(queue, ids) == [SUCCESSFUL] * 2
