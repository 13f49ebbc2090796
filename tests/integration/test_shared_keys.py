"""Ticks of schedules on a queue in memory, fired by the schedulers of several processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from django_loco.core import running_tests
from django_loco.core.job import Job
from django_loco.queues import forget, queue_for
from django_loco.queues.memory import MemoryQueue, spool
from django_loco.queues.memory.queue import KEYS_FILE
from django_loco.scheduler import Registry, Scheduler
from django_loco.worker.in_process import kept_jobs
from tests.unit.scheduler.tasks import tick

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BACKEND = {"BACKEND": "django_loco.backend.LocoBackend"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_jobs, "spool_folder", lambda alias: tmp_path / alias)  # none is kept in tests otherwise
    return tmp_path


@pytest.fixture(params=["memory", "foreground"])
def mode(request, folder):
    options = {
        "memory": {"queue": "memory", "mode": "BackgroundQueue"},
        "foreground": {"mode": "ForegroundBlocking"},
    }
    with override_settings(TASKS={"default": BACKEND | {"OPTIONS": options[request.param]}}):
        yield
        forget()


def fired(until, start=NOON + timedelta(seconds=0.5)):
    """Run a scheduler as a new process has it; return the ticks that it fired."""
    forget()
    registry, now = Registry(strict=True), start
    registry.every(tick, seconds=10, name="beat")
    scheduler = Scheduler(registry, now=lambda: now)
    scheduler.load()
    while now < until:
        scheduler.fire_due()
        now += timedelta(seconds=1)
    scheduler.fire_due()
    return sorted((job.due_at - NOON).total_seconds() for job in queue_for("default").list())


def test_one_process_fires_what_another_has_not(mode):
    assert fired(NOON + timedelta(seconds=31)) == [0, 10, 20, 30]
    assert fired(NOON + timedelta(seconds=51)) == [40, 50]


def test_a_restart_makes_up_for_what_it_missed_and_only_that(mode):
    assert fired(NOON + timedelta(seconds=21)) == [0, 10, 20]
    assert fired(NOON + timedelta(seconds=23), start=NOON + timedelta(seconds=22)) == []
    assert fired(NOON + timedelta(seconds=33), start=NOON + timedelta(seconds=32)) == [30]


def test_where_keys_cannot_be_kept_a_restart_makes_up_for_nothing(mode, folder, caplog):
    (folder / "default").write_text("no folder")
    assert fired(NOON + timedelta(seconds=21)) == [10, 20]
    assert fired(NOON + timedelta(seconds=33), start=NOON + timedelta(seconds=22)) == [30]
    assert caplog.text.count("cannot be used") == 2, "once in each process"


@pytest.mark.parametrize("options", [{"queue": "database", "mode": "BackgroundQueue"}, {"mode": "BackgroundAsync"}])
def test_who_remembers(folder, options):
    with override_settings(TASKS={"default": BACKEND | {"OPTIONS": options}}):
        assert kept_jobs.remembers("default")
        assert (folder / "default" / KEYS_FILE).exists() == (options["mode"] == "BackgroundAsync")
        forget()


def test_projects_without_a_folder_of_their_own_do_not_share_one(monkeypatch, settings, tmp_path):
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    found = set()
    for base in ("one", "other"):
        settings.BASE_DIR = tmp_path / base
        found.add(kept_jobs.spool_folder("default"))
    del settings.BASE_DIR
    found.add(kept_jobs.spool_folder("default"))
    assert len(found) == 3


def test_relative_folders_do_not_follow_a_job_that_changes_the_working_directory(monkeypatch, settings, tmp_path):
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    for base, options, folder in (
        (tmp_path, {"spool": "jobs"}, tmp_path / "jobs"),
        ("", {"spool": "jobs"}, Path.cwd() / "jobs"),
        (None, {"spool": "jobs"}, Path.cwd() / "jobs"),
        (".", {}, Path.cwd() / ".django-loco"),
    ):
        settings.BASE_DIR = base
        with override_settings(TASKS={"default": BACKEND | {"OPTIONS": options}}), monkeypatch.context() as job:
            job.chdir(tmp_path)
            assert folder in kept_jobs.spool_folder("default").parents


def no_folder():
    raise FileNotFoundError(2, "No usable temporary directory found")


def test_without_any_folder_jobs_run_and_their_loss_at_the_end_is_logged(monkeypatch, settings, tmp_path, caplog):
    """As in a container whose file system is read-only."""
    (tmp_path / "full").write_text("no folder")
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    monkeypatch.setattr(spool, "TEMPORARY", tmp_path / "full")
    settings.BASE_DIR = tmp_path / "read-only"
    queue = MemoryQueue("default", {})
    kept_jobs.load_jobs("default", queue)
    [early] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "neither kept nor taken up: this process may not write to" in early.getMessage()
    caplog.clear()
    jobs = queue.enqueue([Job(task_path="a.b", backend="default") for _ in range(kept_jobs.MOST_LOST + 2)])
    for _ in range(3):  # as a process does that ends
        kept_jobs.save_jobs("default", queue)
    [record] = caplog.records
    assert record.exc_info is None
    for text in (early.getMessage(), record.getMessage()):
        assert "Name a folder in OPTIONS['spool']" in text
    assert record.getMessage().startswith("22 jobs that wait in memory are lost")
    assert record.getMessage().endswith("(a.b), and 2 more")
    assert f"{jobs[-1].id} (a.b)" in record.getMessage()
    forget()


def test_with_a_folder_of_its_own_a_site_needs_no_temporary_one(monkeypatch, tmp_path):
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    with override_settings(TASKS={"default": BACKEND | {"OPTIONS": {"spool": tmp_path}}}):
        assert tmp_path in kept_jobs.spool_folder("default").parents
