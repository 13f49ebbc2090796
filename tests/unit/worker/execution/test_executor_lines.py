"""What an attempt logs: a line of ours, and Django's record if anybody wants it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from django_loco.core.compat import TASKS_LOGGER
from django_loco.core.job import Job
from django_loco.log import job_lines
from django_loco.worker.execution import announcements

from ..support import claimed_of
from .test_executor import Execute, on_a_loop, on_a_thread


class Shown:
    """The lines about jobs."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, job: Job) -> None:
        self.lines.append(f"{job.task_path.rpartition('.')[2]} started")

    def done(self, job: Job, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.lines.append(f"{job.task_path.rpartition('.')[2]} done")


@pytest.fixture
def shown() -> Iterator[Shown]:
    shown = Shown()
    job_lines.show_job_lines(shown)
    yield shown
    job_lines.show_job_lines(None)


@pytest.mark.parametrize(("execute", "prefix"), [(on_a_thread, ""), (on_a_loop, "a")], ids=["sync", "async"])
def test_a_job_that_ends_well_has_its_lines_and_one_that_fails_only_the_first(
    shown: Shown, execute: Execute, prefix: str
) -> None:
    execute(claimed_of(f"{prefix}add", 1))
    execute(claimed_of(f"{prefix}fail"))
    execute(claimed_of(f"{prefix}fail_often"))
    assert shown.lines == [
        f"{prefix}add started",
        f"{prefix}add done",
        f"{prefix}fail started",
        f"{prefix}fail_often started",
    ]


@pytest.mark.parametrize("is_heard", [True, False])
@pytest.mark.parametrize(("execute", "prefix"), [(on_a_thread, ""), (on_a_loop, "a")], ids=["sync", "async"])
def test_djangos_records_are_made_for_those_who_hear_them_and_for_failures(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, execute: Execute, prefix: str, is_heard: bool
) -> None:
    monkeypatch.setattr(announcements, "hears_tasks", lambda: is_heard)
    caplog.set_level(logging.INFO)
    execute(claimed_of(f"{prefix}add", 1))
    execute(claimed_of(f"{prefix}fail"))
    states = [record.getMessage().rpartition("=")[2] for record in caplog.records if record.name == TASKS_LOGGER]
    assert states == (["RUNNING", "SUCCESSFUL", "RUNNING", "FAILED"] if is_heard else ["FAILED"])
