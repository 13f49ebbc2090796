"""The log lines of jobs in real processes: each is whole, none is lost, and no handler holds up a job."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from django_loco.shutdown import CLEAN
from tests.processes import SECONDS

from .project import Project, wait_until

TASKS = """
from django_loco.tasks import task

@task
def work(name): pass

@task
def fail(name): raise ValueError(name)
"""
TEXT = re.compile(r"\[worker(\.\d)?\] +\[[^]]+\] (?P<job>work#[0-9a-f]{8})/1 done in [\d.]+ m?s, waited [\d.,]+ m?s")
#: A handler of the project for all lines, which does what ``emit`` says.
HANDLER = """
import logging, threading, time

class Own(logging.Handler):
    def emit(self, record):
        {emit}

LOGGING = {{
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {{"own": {{"()": Own}}}},
    "root": {{"handlers": ["own"], "level": "INFO"}},
}}
"""


@pytest.fixture
def project(project: Project) -> Project:
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 5, "LOG_JOBS_PER_SECOND": None}
    project.write("pages/tasks.py", TASKS)
    return project


def enqueue(project: Project, count: int, name: str = "work") -> None:
    code = (
        f"from pages.tasks import {name}; from django_loco.tasks import enqueue_many\n"
        f"enqueue_many({name}, list(range({count})))"
    )
    project.shell(code)


def count(project: Project, status: str = "SUCCESSFUL") -> int:
    with closing(sqlite3.connect(project.folder / "db.sqlite3")) as database:
        return int(database.execute("SELECT COUNT(*) FROM django_loco_job WHERE status = ?", [status]).fetchone()[0])


def jobs_of(lines: list[str], form: str) -> list[str]:
    """Return the jobs that ``lines`` say are done. Each line has to be whole."""
    if form == "json":
        found = [json.loads(line) for line in lines]
        return [line["job_id"] for line in found if line["logger"] == "django_loco.jobs"]
    shown = [line for line in lines if "#" in line or "done in" in line]
    matches = [TEXT.fullmatch(line) for line in shown]
    assert all(matches), [line for line, match in zip(shown, matches, strict=True) if match is None]
    return [match["job"] for match in matches if match]


@pytest.mark.extra("text")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_worker_that_is_stopped_amid_its_jobs_loses_no_line(project, form):
    project.settings["LOCO"]["LOG_FORMAT"] = form
    enqueue(project, 10_000)
    worker = project.start("loco_worker")
    worker.wait_for("done in", count=1000)
    assert worker.terminate() == CLEAN
    jobs = jobs_of([line for line in worker.lines if form == "text" or line.startswith("{")], form)
    assert len(set(jobs)) == len(jobs) == count(project)


@pytest.mark.parametrize("arguments", [["--drain"], ["--drain", "--processes", "2"], ["--max-jobs", "1000"]])
def test_none_is_lost_at_an_end_of_its_own_either(project, arguments):
    enqueue(project, 1500)
    worker = project.start("loco_worker", *arguments)
    assert worker.wait() == CLEAN
    jobs = jobs_of(worker.lines, "text")
    assert len(set(jobs)) == len(jobs) == count(project) == (1000 if "--max-jobs" in arguments else 1500)


def test_a_second_signal_loses_none(project):
    enqueue(project, 10_000)
    worker = project.start("loco_worker")
    worker.wait_for("done in", count=500)
    os.kill(worker.pid, signal.SIGINT)
    os.kill(worker.pid, signal.SIGINT)
    worker.wait()
    jobs = jobs_of(worker.lines, "text")
    assert len(set(jobs)) == len(jobs) >= count(project)


def test_lines_that_are_left_out_are_counted(project):
    project.settings["LOCO"]["LOG_JOBS_PER_SECOND"] = 100
    enqueue(project, 1500)
    worker = project.start("loco_worker", "--drain")
    assert worker.wait() == CLEAN
    more = [
        int(found[1].replace(",", "")) for found in re.finditer(r"\] ([\d,]+) more in the last second", worker.output)
    ]
    assert more
    assert len(re.findall("done in", worker.output)) + sum(more) == 1500


def test_failures_are_never_left_out(project):
    project.settings["LOCO"]["LOG_JOBS_PER_SECOND"] = 1
    enqueue(project, 300, "fail")
    worker = project.start("loco_worker", "--drain")
    assert worker.wait() == CLEAN
    assert len(re.findall(r"fail#[0-9a-f]{8}/1 ERROR: failed after", worker.output)) == 300
    assert len(re.findall(r"    ValueError: \d+", worker.output)) == 300


def test_the_start_is_a_line_with_verbosity_2(project):
    enqueue(project, 1)
    worker = project.start("loco_worker", "--drain", "--verbosity", "2")
    assert worker.wait() == CLEAN
    assert re.findall(r"work#[0-9a-f]{8}/1 (started|done)", worker.output) == ["started", "done"]


def test_on_a_terminal_a_line_appears_at_once(project):
    terminal, end = pty.openpty()
    command = project.command_line("loco_worker")
    worker = subprocess.Popen(command, env=project.environment, stdin=subprocess.DEVNULL, stdout=end, stderr=end)
    os.close(end)

    def read_until(text: str) -> None:
        found = ""
        while text not in found:
            found += os.read(terminal, 4096).decode()

    try:
        read_until("Ctrl-C")
        enqueue(project, 1)
        wait_until(lambda: count(project) == 1, "job")
        begun = time.monotonic()
        read_until("done in")
        assert time.monotonic() - begun < 1
        worker.terminate()
        read_until("Stopped")
        assert worker.wait(SECONDS) == CLEAN
    finally:
        worker.kill()
        worker.wait()
        os.close(terminal)


def with_handler(project: Project, emit: str) -> None:
    settings = (project.folder / "site_settings.py").read_text()
    project.write("site_settings.py", settings + HANDLER.format(emit=emit))


def test_a_handler_that_blocks_is_told_once_and_holds_up_no_job(project):
    with_handler(project, "threading.Event().wait()")
    enqueue(project, 2000)
    worker = project.start("loco_worker")
    worker.wait_for("The log handler <Own .*> blocks. Jobs go on")
    wait_until(lambda: count(project) == 2000, "all jobs")
    assert worker.terminate() == CLEAN
    assert worker.output.count("blocks. Jobs go on") == 1
    assert "critical" not in worker.output.lower()


def test_a_handler_that_raises_is_shown_once(project):
    with_handler(project, "raise RuntimeError('the own one')")
    enqueue(project, 200)
    worker = project.start("loco_worker", "--drain")
    assert worker.wait() == CLEAN
    assert count(project) == 200
    assert worker.output.count("RuntimeError: the own one") <= 2  # by the thread of the handler, and by the main thread
    assert "A log line of <Own (NOTSET)> was dropped" in worker.output


def test_a_handler_of_the_project_gets_djangos_records_in_order(project):
    with_handler(project, "open(BASE_DIR / 'records', 'a').write(record.getMessage() + chr(10))")
    project.settings["LOCO"]["NUM_WORKERS"] = 1
    enqueue(project, 100)
    worker = project.start("loco_worker", "--drain")
    assert worker.wait() == CLEAN
    lines = [line for line in (project.folder / "records").read_text().splitlines() if "state=" in line]
    assert [line.rpartition("=")[2] for line in lines] == ["RUNNING", "SUCCESSFUL"] * 100
