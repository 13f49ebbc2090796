"""Enqueued jobs are counted, and written by a thread that ends when there is nothing left."""

from __future__ import annotations

import threading
import time

import pytest

from django_loco.core import running_tests
from django_loco.core.job import Job
from django_loco.metrics import arrivals as arrivals_module
from django_loco.metrics.arrivals import ENQUEUED, Arrivals, count_enqueued
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.records.minutes import Labels

SECONDS = 10


class Noting(MemoryQueue):
    """Sets an event at each write."""

    def __init__(self, alias: str = "default") -> None:
        super().__init__(alias, {})
        self.written = threading.Event()

    def record(self, minutes) -> None:
        super().record(minutes)
        self.written.set()


@pytest.fixture
def queue() -> Noting:
    return Noting()


def job(task_path: str = "shop.send", queue_name: str = "default") -> Job:
    return Job(task_path=task_path, backend="default", queue_name=queue_name)


def recorded(queue: MemoryQueue) -> dict[Labels, int]:
    return {each.labels: each.runs for each in queue.minutes(0)}


def test_jobs_are_counted_by_minute_queue_and_task(queue):
    now = [600.0]
    arrivals = Arrivals(lambda alias: queue, lambda: now[0])
    arrivals.count("default", [job(), job(), job("shop.other"), job(queue_name="mail")])
    now[0] = 660.0
    arrivals.count("default", [job()])
    arrivals.close()
    assert recorded(queue) == {
        Labels(10, "default", "shop.send", ENQUEUED): 2,
        Labels(10, "default", "shop.other", ENQUEUED): 1,
        Labels(10, "mail", "shop.send", ENQUEUED): 1,
        Labels(11, "default", "shop.send", ENQUEUED): 1,
    }
    assert [each.durations[-1] for each in queue.minutes(0)] == [0] * 4


def test_a_signal_handler_may_enqueue_while_its_thread_counts(queue):
    arrivals = Arrivals(lambda _alias: queue)
    with arrivals._lock:
        arrivals.count("default", [job()])
    arrivals.close()
    assert sum(recorded(queue).values()) == 1


def test_each_alias_has_its_own():
    queues = {"default": Noting(), "other": Noting("other")}
    arrivals = Arrivals(queues.__getitem__)
    arrivals.count("default", [job()])
    arrivals.count("other", [job(), job()])
    assert arrivals.write()
    assert [sum(recorded(queue).values()) for queue in queues.values()] == [1, 2]
    assert not arrivals.write()
    arrivals.close()


def wait_for_end(arrivals: Arrivals) -> None:
    deadline = time.monotonic() + SECONDS
    while arrivals._thread is not None:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_thread_writes_and_ends_when_nothing_comes(queue):
    arrivals = Arrivals(lambda alias: queue, every=0.01)
    for _ in range(2):
        arrivals.count("default", [job()])
        assert queue.written.wait(SECONDS)
        queue.written.clear()
        wait_for_end(arrivals)
    assert sum(recorded(queue).values()) == 2


def test_nothing_is_lost_between_threads(queue):
    arrivals = Arrivals(lambda alias: queue, every=0.0)

    def count() -> None:
        for _ in range(300):
            arrivals.count("default", [job()])

    counters = [threading.Thread(target=count) for _ in range(3)]
    for thread in counters:
        thread.start()
    for thread in counters:
        thread.join()
    arrivals.close()
    wait_for_end(arrivals)
    assert sum(recorded(queue).values()) == 900


def test_a_process_without_room_for_a_thread_enqueues_all_the_same(queue, monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(arrivals_module.DaemonThread, "start", refuse)
    arrivals = Arrivals(lambda alias: queue)
    arrivals.count("default", [job()])
    arrivals.count("default", [job()])
    arrivals.close()
    assert sum(recorded(queue).values()) == 2


def test_jobs_that_were_refused_start_nothing(queue, monkeypatch):
    arrivals = Arrivals(lambda alias: queue)
    monkeypatch.setattr(arrivals_module, "_arrivals", arrivals)
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    count_enqueued(queue, [])
    assert arrivals._thread is None
    assert not arrivals.write()


def test_tests_count_nothing(queue, monkeypatch):
    arrivals = Arrivals(lambda alias: queue)
    monkeypatch.setattr(arrivals_module, "_arrivals", arrivals)
    count_enqueued(queue, [job()])
    assert not arrivals.write()
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    count_enqueued(queue, [job()])
    assert arrivals.write()
    arrivals.close()
