"""A queue that does what it is asked to and whose answers get lost: nothing is lost with them, or stored twice."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from django_loco.core.job import SUCCESSFUL
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import queue_for
from django_loco.queues.memory import MemoryQueue
from django_loco.tasks import task
from django_loco.worker import in_process

SECONDS = 20.0
claimed_jobs: list[int] = []
TASKS = {
    "default": {
        "BACKEND": "django_loco.backend.LocoBackend",
        "OPTIONS": {"queue": f"{__name__}.Forgetful", "mode": "BackgroundQueue"},
    }
}


@task
def count(number: int) -> int:
    claimed_jobs.append(number)
    return number


class Forgetful(MemoryQueue):
    """Every third answer is lost."""

    _numbers = itertools.count(1)

    def _answer(self, answer):
        if next(self._numbers) % 3 == 0:
            raise QueueUnavailable("No answer.")
        return answer

    def enqueue(self, jobs):
        return self._answer(super().enqueue(jobs))

    def finish(self, outcomes):
        return self._answer(super().finish(outcomes))

    def renew(self, jobs, lease):
        return self._answer(super().renew(jobs, lease))


@pytest.fixture
def queue(settings):
    claimed_jobs.clear()
    settings.TASKS = TASKS
    return queue_for("default")


def test_outcomes_are_stored_once_and_none_is_lost(queue, caplog):
    threads_before = threading.active_count()
    for number in range(30):
        try:
            count.enqueue(number)
        except QueueUnavailable:
            continue  # and yet it is there
    worker = in_process.worker_for("default", threads=2, coroutines=0)
    worker.start()
    deadline = time.monotonic() + SECONDS
    while set(queue.counts()) != {("default", SUCCESSFUL)} or worker.health()["unstored"]:
        assert time.monotonic() < deadline, queue.counts()
        time.sleep(0.01)
    worker.stop(time.monotonic() + 5)
    assert worker.join(SECONDS)
    assert sorted(claimed_jobs) == list(range(30))
    assert worker.health()["done"] == 30
    assert "came too late" not in caplog.text, "what was stored without an answer is known to be stored"
    assert threading.active_count() < threads_before + 10


def test_a_tick_is_one_job_however_often_it_has_to_be_offered(queue):
    backend = count.get_backend()
    first = datetime.now(UTC) - timedelta(minutes=10)
    for number in range(10):
        tick = first + timedelta(minutes=number)
        for _ in range(3):
            try:
                backend.enqueue_tick(count, [number], {}, key=f"ticking {tick}", tick=tick)
                break
            except QueueUnavailable:
                continue
    assert sorted(job.key for job in queue.list()) == [f"ticking {first + timedelta(minutes=n)}" for n in range(10)]
