"""The worker that the first job of a process starts."""

from __future__ import annotations

import time

import pytest

from django_loco.assembly.components import component_specs
from django_loco.assembly.run_options import RunOptions
from django_loco.worker import in_process

from ...app import tasks


@pytest.fixture(autouse=True)
def _in_memory(settings):
    settings.WORKER_MODE = "BackgroundAsync"
    yield
    in_process.stop(time.monotonic() + 5)
    in_process.workers._supervised.clear()


def test_the_first_job_starts_it():
    tasks.add.enqueue(1, 2)
    assert "default" in in_process.started()


def test_jobs_wait_while_the_system_has_no_threads_for_it(no_thread, caplog):
    with no_thread("loco-worker-fetcher"):
        waiting = [tasks.add.enqueue(1, number) for number in range(3)]
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == (
        "The worker of this process cannot start and run its jobs for now: can't start new thread: raise `ulimit -u`, "
        "the pids limit of the container or TasksMax of systemd, or the limit of memory (`ulimit -v`), or lower "
        "LOCO['NUM_WORKERS']"
    )
    assert record.exc_info is None
    assert not in_process.started()["default"].is_alive
    tasks.add.enqueue(1, 3)
    until = time.monotonic() + 10
    while not all(result.is_finished for result in waiting):
        assert time.monotonic() < until
        time.sleep(0.01)
        for result in waiting:
            result.refresh()


def test_a_job_starts_none_beside_one_whose_supervisor_is_still_starting():
    component_specs(RunOptions(server=True))
    tasks.add.enqueue(1, 2)
    assert in_process.started() == {}


def test_the_stop_does_not_hold_up_a_job_that_enqueues_to_another_alias(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCO_TEST_FOLDER", str(tmp_path))
    settings.TASKS = {alias: {"BACKEND": settings.TASKS["default"]["BACKEND"]} for alias in ("default", "other")}
    begun = time.monotonic()
    job = tasks.rally.enqueue(1, "default", "other", 0.5)
    while job.status == "READY":
        job.refresh()
        time.sleep(0.01)
    in_process.stop(begun + 20)
    assert time.monotonic() < begun + 10
    job.refresh()
    assert job.is_finished
    assert in_process.started() == {}, "no worker starts while the others stop"
