"""The signals of ``django_loco.signals`` that a worker sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.dispatch import Signal

from django_loco import signals
from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Outcome
from django_loco.jobs.operations import Cancel
from django_loco.queues import Claim
from django_loco.worker.execution.announcements import announce_death
from django_loco.worker.maintenance import cancellations
from django_loco.worker.maintenance.reaper import report_rescued
from django_loco.worker.worker import Worker

from . import tasks
from .support import TroubledQueue, job, wait_until

Heard = list[dict[str, Any]]


@pytest.fixture
def queue() -> TroubledQueue:
    return TroubledQueue()


@contextmanager
def hearing(*wanted: Signal) -> Iterator[Heard]:
    """Collect what receivers get, with the name of the signal."""
    names = {id(signal): name for name, signal in vars(signals).items() if isinstance(signal, Signal)}
    heard: Heard = []

    def receive(signal: Signal, sender: type, **values: Any) -> None:
        heard.append({"name": names[id(signal)], "sender": sender, **values})

    for signal in wanted:
        signal.connect(receive)
    yield heard
    for signal in wanted:
        signal.disconnect(receive)


def test_the_life_of_a_worker(queue: TroubledQueue, start: Callable[..., Worker]):
    with hearing(signals.worker_started, signals.worker_quieted, signals.worker_stopped) as heard:
        worker = start(queues=("default",))
        wait_until(lambda: heard)
        worker.quiet()
        worker.stop(time.monotonic() + 5)
        assert worker.join(10)
    about = {"sender": Worker, "worker_id": worker.worker_id, "backend": "default", "queues": ("default",)}
    assert heard == [{"name": name, **about} for name in ("worker_started", "worker_quieted", "worker_stopped")]


@pytest.mark.parametrize("task", ["fail_often", "afail_often"])
def test_a_retry(queue: TroubledQueue, start: Callable[..., Worker], task: str):
    """The receiver of an async job may use the database, so it is not called on the event loop."""
    loops: list[bool] = []

    def note_thread(**values: Any) -> None:
        loops.append("loop" in threading.current_thread().name)

    signals.job_retried.connect(note_thread)
    with hearing(signals.job_retried) as heard:
        start()
        [one] = queue.enqueue([job(task, options={"backoff": 0})])
        wait_until(lambda: (now := queue.get(one.id)) and now.status == FAILED)
    signals.job_retried.disconnect(note_thread)
    assert [(each["task_result"].id, type(each["exception"])) for each in heard] == [(one.id, ConnectionError)] * 2
    assert all(each["run_after"] is not None for each in heard)
    assert loops == [False, False]


def test_a_job_that_is_cancelled_while_it_runs(
    queue: TroubledQueue, start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cancellations, "CHECK_SECONDS", 0.01)
    with hearing(signals.job_cancelled) as heard:
        start()
        [one] = queue.enqueue([job("auntil_cancelled", "a")])
        tasks.retried(tasks.events["a began"])
        running = queue.get(one.id)
        assert running is not None
        assert running.status == RUNNING
        outcome = Cancel(by="anna").of(running)
        assert isinstance(outcome, Outcome)
        assert queue.finish([outcome]) == set()
        wait_until(lambda: heard, 20)
    assert [(each["task_result"].id, each["task_result"].status) for each in heard] == [(one.id, FAILED)]


def test_jobs_of_a_dead_worker(queue: TroubledQueue):
    queue.enqueue([job("nothing")])
    queue.fetch(Claim(worker_id="dead", lease=-1, threads=1))
    rescued = queue.rescue(10)
    report_rescued(rescued)
    with hearing(signals.job_lost) as heard:
        report_rescued(rescued)
    assert [each["task_result"].status for each in heard] == [READY]


def test_a_receiver_that_raises_is_logged(queue: TroubledQueue, caplog: pytest.LogCaptureFixture):
    def fail(**values: Any) -> None:
        raise SystemExit

    signals.job_lost.connect(fail)
    with hearing(signals.job_lost) as heard:
        announce_death(job("nothing"))
    signals.job_lost.disconnect(fail)
    assert len(heard) == 1
    assert caplog.text.count("A receiver of a signal raised") == 1


def test_a_job_that_is_handed_back(queue: TroubledQueue, start: Callable[..., Worker]):
    with hearing(signals.job_released, signals.worker_stopped) as heard:
        worker = start()
        done, running = queue.enqueue([job("nothing"), job("wait_for", "a")])
        tasks.retried(tasks.events["a began"])
        wait_until(lambda: (now := queue.get(done.id)) and now.status == SUCCESSFUL)
        worker.stop(time.monotonic() + 0.2)
        wait_until(lambda: len(heard) == 2)
        tasks.events["a"].set()
        assert worker.join(10)
    assert [each["name"] for each in heard] == ["job_released", "worker_stopped"]
    assert (heard[0]["task_result"].id, heard[0]["task_result"].status) == (running.id, READY)
