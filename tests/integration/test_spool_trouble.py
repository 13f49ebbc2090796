"""Files of waiting jobs that cannot be read or deleted must not cost a process its worker, nor run jobs twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from django_loco.core.job import SUCCESSFUL, Job, new_id
from django_loco.queues import queue_for
from django_loco.queues.memory import spool
from django_loco.worker import in_process
from django_loco.worker.in_process import kept_jobs

from ..app import tasks


@pytest.fixture
def folder(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_jobs, "spool_folder", lambda alias: tmp_path)  # none is kept in tests otherwise
    settings.WORKER_MODE = "BackgroundAsync"
    yield tmp_path
    in_process.stop(time.monotonic() + 5)
    kept_jobs._loaded.clear()
    in_process.workers._supervised.clear()


def ends(result) -> bool:
    deadline = time.monotonic() + 5
    while (job := queue_for("default").get(result.id)) is None or job.status != SUCCESSFUL:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_file_that_cannot_be_read_keeps_no_job_from_running(folder):
    (folder / f"{new_id()}-default.jobs").mkdir()  # fails to open for root, too, as another user's file does
    assert ends(tasks.add.enqueue(1, 2))


def test_after_a_failed_start_the_next_job_starts_the_worker(folder, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(in_process.workers, "load_jobs", fail)
        with pytest.raises(OSError, match="no such luck"):
            tasks.add.enqueue(1, 2)
    assert ends(tasks.add.enqueue(1, 2))


def test_jobs_of_a_file_that_cannot_be_deleted_are_left_to_a_process_that_can(folder, monkeypatch):
    kept = Job(task_path="tests.app.tasks.add", backend="default", arguments="[[1,2],{}]")
    spool.write_spool(folder, "default", [kept])
    monkeypatch.setattr(Path, "unlink", fail)
    assert ends(tasks.add.enqueue(3, 4))
    assert queue_for("default").get(kept.id) is None, "it would run again in every process"


def test_a_line_with_a_value_of_the_wrong_type_does_not_hold_up_the_others(folder):
    kept = [Job(task_path="tests.app.tasks.add", backend="default", arguments="[[1,2],{}]") for _ in range(2)]
    spool.write_spool(folder, "default", kept)
    [path] = folder.iterdir()
    path.write_text(path.read_text().replace('"priority": 0', '"priority": "none"', 1))
    assert ends(tasks.add.enqueue(3, 4))
    assert ends(kept[1])


def fail(*args, **kwargs) -> None:
    raise PermissionError("no such luck")
