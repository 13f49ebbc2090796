"""Starting and stopping all there is in one process, again and again, leaves no thread and no file open."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from django_loco import shutdown
from django_loco.assembly.supervised_component import ComponentSpec
from django_loco.assembly.supervisor import Supervisor
from django_loco.component import Loop
from django_loco.process.health import report
from django_loco.process.health.http_server import HealthServer
from django_loco.scheduler import Registry, Scheduler
from django_loco.shutdown import CLEAN, Shutdown

pytestmark = pytest.mark.django_db(transaction=True)
CYCLES = 50


class Idle(Loop):
    every = 60.0

    def turn(self) -> None:
        """Nothing to do."""


def cycle() -> None:
    supervisor = Supervisor([ComponentSpec("idle", Idle), ComponentSpec("scheduler", lambda: Scheduler(Registry()))])
    supervisor.start()
    try:
        assert report.readiness()[0] == 200
    finally:
        result = Shutdown(10.0).run(supervisor)
        shutdown.forget()
    assert result == CLEAN


def serve() -> None:
    with HealthServer("127.0.0.1", 0):
        cycle()


def threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())


def more_than(before: list[str]) -> list[str]:
    """Return the threads that were not there before. Those of other tests may have ended meanwhile."""
    return sorted((Counter(threads()) - Counter(before)).elements())


def files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_threads_and_files(monkeypatch):
    monkeypatch.setattr(report, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(report, "ANSWER_SECONDS", 10.0)
    serve()
    before = threads(), files()
    for _ in range(CYCLES):
        cycle()
    serve()
    until = time.monotonic() + 10.0
    while more_than(before[0]) and time.monotonic() < until:
        threading.Event().wait(0.01)  # the last threads are about to end
    assert more_than(before[0]) == []
    assert files() <= before[1] + 2  # SQLite closes a file later if another connection to it is in use
    report.forget()
