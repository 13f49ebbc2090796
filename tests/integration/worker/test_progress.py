"""How far a job is, while it is inside a transaction."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection

from django_loco.core.job import SUCCESSFUL
from django_loco.jobs.presentation.progress import progress_of
from django_loco.queues.database import DatabaseQueue
from django_loco.worker.maintenance import cancellations

from . import tasks
from .conftest import job


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(cancellations, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(cancellations, "SAVE_SECONDS", 0.2)
    tasks.began.clear()
    tasks.may_end.clear()
    yield
    tasks.may_end.set()


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_others_see_it_if_the_store_lets_several_write_and_nobody_complains_if_not(queue, start, monkeypatch, caplog):
    tried = threading.Event()
    save = cancellations.Cancellations._save_progress

    def saving(self):
        save(self)
        if tasks.began.is_set():
            tried.set()

    monkeypatch.setattr(cancellations.Cancellations, "_save_progress", saving)
    [one] = queue.enqueue([job("advance_in_a_transaction")])
    start()
    assert tasks.began.wait(20)
    if not (isinstance(queue, DatabaseQueue) and connection.vendor == "sqlite"):
        wait_until(lambda: progress_of(queue.get(one.id)) is not None)
    assert tried.wait(12), "SQLite lets a writer wait for 20 seconds"
    tasks.may_end.set()
    wait_until(lambda: queue.get(one.id).status == SUCCESSFUL)
    assert progress_of(queue.get(one.id)).done == 2
    assert "The worker cannot" not in caplog.text
