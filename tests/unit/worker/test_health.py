"""A worker that gets nowhere says so, whether its queue hangs or is away for too long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django_loco.core.job import Job
from django_loco.exceptions import QueueUnavailable
from django_loco.process.health import report
from django_loco.queues.memory import MemoryQueue
from django_loco.worker import health as module
from django_loco.worker.worker import Worker

from .support import wait_until


class Troubled(MemoryQueue):
    """Does in ``fetch`` and ``exchange`` what the test wants."""

    def __init__(self, trouble: Callable[[], None]) -> None:
        super().__init__("default", {})
        self.trouble = trouble

    def fetch(self, claim: Any) -> list[Job]:
        self.trouble()
        return super().fetch(claim)

    def exchange(self, outcomes: Sequence[Any], claim: Any, stored: Callable[[set[str]], None]) -> list[Job]:
        self.trouble()
        return super().exchange(outcomes, claim, stored)


def verdict(worker: Worker) -> str:
    return report.verdict(worker.health() | {"state": "running"})


def test_one_whose_queue_hangs_is_stuck(start, monkeypatch):
    monkeypatch.setattr(module, "HUNG_SECONDS", 0.2)
    gate = threading.Event()
    worker = start(Troubled(lambda: gate.wait(10) and None))
    wait_until(lambda: worker.health()["stuck"])
    assert worker.health()["alive"]
    assert verdict(worker) == "failing"
    monkeypatch.setattr(module, "HUNG_SECONDS", 10.0)
    gate.set()
    wait_until(lambda: worker.health()["last_poll_age"] < 1)
    assert verdict(worker) == "ok"


def test_one_whose_queue_is_away_is_stuck_only_after_a_long_time(start, monkeypatch):
    def away() -> None:
        raise QueueUnavailable("redis://user:secret@host is away")

    worker = start(Troubled(away))
    wait_until(lambda: worker.health()["trouble"])
    assert verdict(worker) == "degraded"
    assert not worker.health()["stuck"]
    monkeypatch.setattr(module, "LONG_LOST_SECONDS", 0.0)
    assert verdict(worker) == "failing"
