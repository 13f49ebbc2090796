"""Schedules of all sources, as a project's commands and processes see them."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from django_loco.shutdown import CLEAN

SCHEDULES = """
from django_loco import scheduler
from pages.tasks import work
scheduler.every(work, seconds=1, args=["tick"], name="ticking", tags=["fast"])
scheduler.every(work, seconds=1, args=["other"], name="other")
"""
SESSIONS = {"run": "check --tag urls", "schedule": "at 3:00", "run_on_start": True, "tags": ["fast"]}
FILE = '[jobs.echo]\nrun = "echo hello"\nshell = true\nschedule = "7pm every Thursday"\n'


@pytest.fixture
def scheduled(project):
    project.write("pages/schedules.py", SCHEDULES)
    project.write("schedule.toml", FILE)
    project.settings["LOCO"] |= {
        "SCHEDULE": {"sessions": SESSIONS},
        "SCHEDULE_FILE": str(project.folder / "schedule.toml"),
        "ALLOW_SHELL": True,
    }
    return project


def listed(project):
    output = project.answer("loco_scheduler", "--list", "--format", "json")
    return {row["name"]: row for row in json.loads(output[output.index("[\n") :])}


def test_what_is_listed_checked_run_and_fired(scheduled):
    assert set(listed(scheduled)) == {"ticking", "other", "sessions", "echo"}
    assert "All 4 schedules are valid." in scheduled.answer("loco_scheduler", "--check")
    assert "of schedule 'echo' is READY." in scheduled.answer("loco_scheduler", "--run", "echo")
    scheduled.open_gate("tick")
    process = scheduled.start("loco_scheduler", "--tag", "fast")
    process.wait_for("scheduler +2 schedules; next is ticking")
    worker = scheduled.start("loco_worker")
    worker.wait_for("job tick ends", count=2)
    assert process.terminate() == worker.terminate() == CLEAN
    assert not [line for line in worker.lines if "job other" in line]
    last = {name: row["last_run"] and row["last_run"]["status"] for name, row in listed(scheduled).items()}
    assert (last["sessions"], last["echo"], last["other"]) == ("SUCCESSFUL", "SUCCESSFUL", None)


@pytest.mark.parametrize("arguments", [("--list",), ("--preview", "1m"), ("--check",)])
def test_each_mistake_is_told_once(scheduled, arguments):
    scheduled.settings["LOCO"]["SCHEDULE"]["wrong"] = {"run": "check", "schedule": "at 25:00"}
    scheduled.write("pages/schedules.py", SCHEDULES + 'scheduler.every(work, seconds=0, name="never")\n')
    ended = subprocess.run(
        scheduled.command_line("loco_scheduler", *arguments),
        cwd=scheduled.folder,
        env=scheduled.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode == ("--check" in arguments)
    for name in ("wrong", "never"):
        assert ended.stderr.count(f"Schedule '{name}'") == 1, ended.stderr


def test_check_tells_each_mistake_once_and_a_scheduler_logs_it(scheduled):
    scheduled.settings["LOCO"]["SCHEDULE"]["wrong"] = {"run": "check", "schedule": "at 25:00"}
    scheduled.write("pages/schedules.py", f"{SCHEDULES}scheduler.after('nightly', work, name='never')\n")
    told = scheduled.answer("check", code=1)
    assert told.count("loco.E003") == 2
    assert told.count("Schedule 'wrong'") == told.count("Schedule 'never'") == 1
    for gate in ("tick", "other"):
        scheduled.open_gate(gate)
    for command in (("loco_scheduler",), ("loco_worker", "--scheduler")):
        process = scheduled.start(*command)
        process.wait_for("Schedule 'wrong'")
        process.wait_for("2 more schedules are off")
        assert process.terminate() == CLEAN
        assert len([line for line in process.lines if "Schedule 'wrong'" in line]) == 1


@pytest.mark.extra("arguments1", "arguments2", "arguments3")
@pytest.mark.parametrize("arguments", [("--list",), ("--preview", "1m"), ("--check",), ("--history", "other")])
def test_a_reader_that_has_gone_ends_a_command_quietly(scheduled, arguments):
    read, write = os.pipe()
    os.close(read)
    command = scheduled.command_line("loco_scheduler", *arguments)
    with os.fdopen(write, "wb") as output:
        ended = subprocess.run(
            command, env=scheduled.environment, stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")


def test_a_schedule_that_is_wrong_ends_a_pipeline(scheduled):
    scheduled.write("schedule.toml", FILE.replace("Thursday", "Thurzday"))
    told = scheduled.answer("loco_scheduler", "--check", code=1)
    assert "Schedule 'echo': the schedule '7pm every Thurzday' is not understood" in told
    assert "Did you mean '7pm every thursday'?" in told
    assert "1 schedule is wrong and off; the others run." in told


def test_a_schedule_that_is_wrong_stops_neither_the_others_nor_the_worker(scheduled):
    scheduled.write("schedule.toml", FILE.replace("Thursday", "Thurzday"))
    scheduled.open_gate("tick")
    scheduled.open_gate("other")
    process = scheduled.start("loco_worker", "--scheduler")
    process.wait_for("3 schedules; .*; 1 more disabled because of errors")
    process.wait_for("job tick ends")
    assert process.terminate() == CLEAN


def test_what_else_is_wrong_does(scheduled):
    scheduled.write("schedule.toml", FILE.replace("Thursday", "Thurzday"))
    scheduled.settings["TASKS"] = {
        "default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "no"}}
    }
    assert "loco.E002" in scheduled.answer("loco_scheduler", code=1)
