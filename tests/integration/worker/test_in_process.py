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
    in_process._supervised.clear()


def test_the_first_job_starts_it():
    tasks.add.enqueue(1, 2)
    assert "default" in in_process.started()


def test_a_job_starts_none_beside_one_whose_supervisor_is_still_starting():
    component_specs(RunOptions(server=True))
    tasks.add.enqueue(1, 2)
    assert in_process.started() == {}
