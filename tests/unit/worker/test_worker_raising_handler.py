"""A logging handler of the project that raises at every line: it costs lines, but no job, thread or restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_loco.assembly.supervised_component import ComponentSpec
from django_loco.assembly.supervisor import Supervisor
from django_loco.component import Loop
from django_loco.core.compat import task_finished, task_started
from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome
from django_loco.exceptions import QueueUnavailable
from django_loco.worker.maintenance.housekeeping import Housekeeping
from django_loco.worker.worker import Worker

from . import tasks
from .support import TroubledQueue, held, job, wait_until


class Raising(logging.Handler):
    """Raises at each record, and keeps what was to be logged."""

    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__()
        self.kind = kind
        self.formats: list[str] = []

    def handle(self, record: logging.LogRecord) -> bool:
        self.formats.append(str(record.msg))
        raise self.kind("a handler of the project")

    def has_seen(self, *parts: str) -> bool:
        return all(any(part in one for one in self.formats) for part in parts)


@pytest.fixture(params=[RuntimeError, SystemExit], autouse=True)
def raising(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Raising]:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "asyncio")  # which logs, and so fails, where it makes a loop
    handler = Raising(request.param)
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def receivers() -> Iterator[None]:
    def receive(**kwargs: Any) -> None:
        raise ValueError("a receiver")

    for signal in (task_started, task_finished):
        signal.connect(receive)
    yield
    for signal in (task_started, task_finished):
        signal.disconnect(receive)


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


def statuses(queue: TroubledQueue, jobs: list[Job]) -> dict[str, Any]:
    found = [queue.get(one.id) for one in jobs]
    return {one.task_path.rpartition(".")[2]: one.status for one in found if one}


@pytest.mark.parametrize("prefix", ["", "a"])
def test_every_job_comes_to_its_end(queue, start, raising, receivers, prefix):
    names = [f"{prefix}{name}" for name in ("nothing", "fail", "bad_backoff")]
    stuck = "astubborn" if prefix else "deaf"
    jobs = queue.enqueue(
        [
            *[job(name, worker_ids=("w0",) if "backoff" in name else ()) for name in names if name != "abad_backoff"],
            job(f"{prefix}fail_often", options={"backoff": 0, "max_attempts": 2}),
            job("gone", is_async=bool(prefix)),
            job(stuck, "s", options={"max_attempts": 1}),
        ]
    )
    worker = start(on=queue, threads=2, coroutines=2)
    worker._threads._interrupter._grace = worker._event_loop._grace = 0.05
    expected = {f"{prefix}nothing": SUCCESSFUL, f"{prefix}fail": FAILED, f"{prefix}fail_often": FAILED, stuck: FAILED}
    if not prefix:
        expected["bad_backoff"] = FAILED
    wait_until(lambda: statuses(queue, jobs) == expected | {"gone": READY})
    assert raising.has_seen("attempt %d of %d failed", "is given up", "Task id=")

    # Nothing of it has cost a thread.
    later = queue.enqueue([job(f"{prefix}fail") for _ in range(20)])
    wait_until(lambda: statuses(queue, later) == {f"{prefix}fail": FAILED})
    health = worker.health()
    assert (health["alive"], health["missing"], health["trouble"]) == (True, 0, "")
    tasks.events["s"].set()


@pytest.mark.parametrize("call", ["fetch", "finish", "renew", "rescue", "prune", "wait"])
@pytest.mark.parametrize("error", [QueueUnavailable("away"), SystemExit(1)])
def test_an_outage_is_over_when_the_queue_is_back(queue, start, impatient, raising, call, error):
    queue.troubles[call] = error
    # What is done once a lease is done soon. The other calls have no need of a lease that a busy machine outlasts.
    worker = start(on=queue, lease=1.5 if call in ("renew", "rescue", "prune") else 30)
    jobs = queue.enqueue([job("nothing"), job("anothing"), job("wait_for", "held")])
    wait_until(lambda: queue.calls[call] > 1)
    del queue.troubles[call]
    tasks.events["held"].set()
    wait_until(lambda: set(statuses(queue, jobs).values()) == {SUCCESSFUL})
    wait_until(lambda: worker.health()["trouble"] == "")
    assert worker.is_alive


def test_a_claim_that_is_lost(queue, start, raising):
    jobs = queue.enqueue([job("wait_for", "w")])
    worker = start(on=queue, threads=1, lease=0.3)
    tasks.retried(tasks.events["w began"])
    queue.finish([Outcome.of_dead_worker(held) for held in queue.list(status=RUNNING)])
    wait_until(lambda: raising.has_seen("Lost the claim on job"))
    tasks.events["w"].set()
    wait_until(lambda: statuses(queue, jobs) == {"wait_for": SUCCESSFUL})
    assert worker.is_alive


def test_each_lost_job_is_told(raising):
    class Queue(TroubledQueue):
        def rescue(self, limit: int = 100) -> list[Job]:
            return [Outcome.of_dead_worker(held("nothing", lost=2)).applied() for _ in range(3)]

    heard: list[str] = []

    def receive(task_result: Any, **kwargs: Any) -> None:
        heard.append(task_result.status)
        raise raising.kind

    task_finished.connect(receive)
    assert Housekeeping(Queue(), 30, 60)._guarded_turn() == 3.0
    task_finished.disconnect(receive)
    assert heard == [FAILED] * 3
    assert sum("took its worker down" in one for one in raising.formats) == 3
    assert sum("Task id=" in one for one in raising.formats) == 3


def test_a_component_that_keeps_dying_is_started_again(raising):
    class Unspeakable(Exception):
        def __repr__(self) -> str:
            raise ValueError("no words")

    class Failing(Loop):
        def turn(self) -> None:
            starts.append(threading.current_thread())
            raise Unspeakable

        def close(self) -> None:
            raise Unspeakable

    starts: list[threading.Thread] = []
    supervisor = Supervisor([ComponentSpec("failing", Failing)], first_delay=0.0, check_every=0.001)
    supervisor.start()
    try:
        wait_until(lambda: len(starts) >= 3)
    finally:
        supervisor.stop(time.monotonic())
        assert supervisor.join(10)
    assert raising.has_seen("could not close")


def test_a_worker_ends_in_good_order(queue, raising):
    jobs = queue.enqueue([job("until_stopped", "u"), job("nothing"), job("anothing")])
    worker = Worker(queue, threads=2, coroutines=2, lease=30, result_ttl=60)
    worker.start()
    tasks.retried(tasks.events["u began"])
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert RUNNING not in statuses(queue, jobs).values()
