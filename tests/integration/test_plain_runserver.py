"""Plain ``runserver`` says what it leaves to processes that do not run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from django_loco import scheduler
from django_loco.assembly import plain_server
from django_loco.core.job import utcnow
from django_loco.queues import queue_for
from django_loco.queues.workers import WorkerInfo

pytestmark = pytest.mark.django_db(transaction=True)
WORKER = WorkerInfo(
    worker_id="w", host="h", pid=7, queues=None, tags=(), threads=1, coroutines=1, lease=30.0, started_at=utcnow()
)


def said(caplog) -> list[str]:
    caplog.clear()
    plain_server.warn_of_idle()
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_queue_without_a_worker(caplog):
    line = "No worker runs for the jobs of default: manage.py loco_start --worker, or loco_worker"
    assert line in said(caplog)
    queue_for("default").register(WORKER)
    assert line not in said(caplog)
    queue_for("default").unregister(WORKER.worker_id)


def test_jobs_that_run_in_this_process(caplog, settings):
    settings.WORKER_MODE = "BackgroundAsync"
    assert not any(line.startswith("Jobs of") for line in said(caplog))


@pytest.mark.parametrize(("paused", "line"), [(False, ["1 schedule, but no scheduler in this process"]), (True, [])])
def test_schedules_without_a_scheduler(caplog, monkeypatch, paused, line):
    monkeypatch.setattr(scheduler, "upcoming", lambda: [SimpleNamespace(paused=paused)])
    assert [start for start in (text.partition(":")[0] for text in said(caplog)) if "schedule" in start] == line


def test_a_store_that_cannot_be_reached_is_no_error(caplog, monkeypatch):
    monkeypatch.setattr(scheduler, "upcoming", lambda: 1 / 0)
    assert said(caplog) == []
