"""``loco_jobs`` beside real workers: what a person on call does with a job."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from django_loco.management.commands.loco_status import CLEAR
from django_loco.process.exit_codes import shell_code
from django_loco.shutdown import CLEAN

from .project import Project

TASKS = """
import asyncio, time
from django_loco.tasks import task
from pages.steps import say

@task(takes_context=True, max_attempts=3)
def compute(context):
    say("begins to compute")
    try:
        while True: time.sleep(0.01)
    finally:
        say(f"computed, cancelled={context.cancelled}")

@task(takes_context=True, max_attempts=3)
async def sleep(context):
    say("begins to sleep")
    try:
        await asyncio.sleep(60)
    finally:
        say(f"slept, cancelled={context.cancelled}")
"""
#: A job is cancelled within two seconds. The rest is for a busy machine: without the check it would run for a minute.
WITHIN_SECONDS = 10.0


#: Ctrl-C in the middle of a list and of a change.
INTERRUPTED = """
import os, signal
from django.core.management import execute_from_command_line
from django_loco.queues import queue_for
queue, name = queue_for("default"), {name!r}
original = getattr(queue, name)
def interrupted(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGINT)
    return original(*args, **kwargs)
setattr(queue, name, interrupted)
execute_from_command_line(["manage.py", "loco_jobs", *{words!r}])
"""


@pytest.mark.parametrize(("name", "words"), [("list", ["list"]), ("change", ["delete", "--all", "--yes"])])
def test_ctrl_c_ends_a_command_without_a_traceback(project: Project, name: str, words: list[str]):
    project.write("pages/work.py", TASKS)
    project.shell("from pages.work import *\ncompute.enqueue()")
    process = project.start("shell", "--verbosity", "0", "--command", INTERRUPTED.format(name=name, words=words))
    assert process.wait() == shell_code(-signal.SIGINT)
    assert "Interrupted. If jobs were being changed, run the command again for the others." in process.output
    assert "Traceback" not in process.output


def test_a_full_disk_ends_a_list_with_a_clear_error(project: Project):
    command = f"{sys.executable} manage.py loco_jobs list > /dev/full"
    done = subprocess.run(
        ["sh", "-c", command], check=False, cwd=project.folder, env=project.environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "CommandError: The output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", pytest.param("1", marks=pytest.mark.extra)])
@pytest.mark.parametrize(
    "words", [("loco_status", "--watch"), ("loco_jobs", "pause", "emails"), ("loco_jobs", "purge", "--all", "--yes")]
)
def test_a_command_whose_reader_has_gone_has_no_traceback(project: Project, words: tuple[str, ...], unbuffered: str):
    read, write = os.pipe()
    os.close(read)
    environment = project.environment | {"PYTHONUNBUFFERED": unbuffered}
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(
            project.command_line(*words), env=environment, stdout=gone, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (shell_code(-signal.SIGPIPE), "")


def test_a_full_disk_is_a_clear_error_of_a_command_that_says_one_line(project: Project):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            project.command_line("loco_jobs", "pause", "emails"),
            env=project.environment | {"PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: The output cannot be written")


def test_a_small_terminal_keeps_the_top_of_what_is_watched(project: Project):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (8, 40))
    environment = {key: value for key, value in project.environment.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        project.command_line("loco_status", "--watch"), env=environment, stdout=theirs, stderr=subprocess.STDOUT
    )
    os.close(theirs)
    text = ""
    try:
        while " more lines\r\n" not in text:
            text += os.read(ours, 10_000).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == CLEAN
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    lines = text.partition(CLEAR)[2].partition(CLEAR)[0].splitlines()
    assert lines[0] == "Workers"
    assert len(lines) == 7, "the cursor is below them"
    assert max(map(len, lines)) <= 40
    assert lines[-1].startswith("… ")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_stdout_cannot_encode_has_backslashes(project: Project, encoding: str):
    project.write("pages/work.py", "from django_loco.tasks import task\n\n@task\ndef echo(text): ...\n")
    project.shell("from pages.work import echo\n[echo.enqueue(text) for text in ('a', 'caf\\udce9 ü', 'c')]")
    u, o = (r"\xfc", r"\xf6") if encoding == "ascii" else ("ü", "ö")
    for words, lines, told in (
        (("list", "--format", "csv"), 4, rf"caf\udce9 {u}"),
        (("pause", "--tag", "ö"), 1, f"The tag '{o}' is paused."),
    ):
        process = project.start("loco_jobs", *words, PYTHONIOENCODING=encoding)
        assert process.wait() == CLEAN, process.output
        assert len(process.output.splitlines()) == lines
        assert told in process.output


@pytest.mark.parametrize("store", ["database", "redis"])
def test_running_jobs_of_another_process_are_cancelled(project: Project, store: str, request: pytest.FixtureRequest):
    if store == "redis":
        server = request.getfixturevalue("redis_server")
        project.settings["TASKS"] = server.setting("cancelled")
    project.write("pages/work.py", TASKS)
    ids = project.shell("from pages.work import *\nprint('ids', compute.enqueue().id, sleep.enqueue().id)")
    computing, sleeping = ids.rpartition("ids ")[2].split()
    worker = project.start("loco_worker")
    worker.wait_for("begins to compute")
    worker.wait_for("begins to sleep")
    assert "runs it since" in project.answer("loco_jobs", "why", computing)

    assert project.answer("loco_jobs", "cancel", computing, sleeping, "--yes").endswith("Cancelled 2 jobs.")
    cancelled_at = time.monotonic()
    worker.wait_for("computed, cancelled=True")
    worker.wait_for("slept, cancelled=True")
    assert time.monotonic() - cancelled_at < WITHIN_SECONDS
    worker.wait_for(f"Job {computing} .* was cancelled")
    shown = project.answer("loco_jobs", "list", "status:cancelled")
    assert computing in shown
    assert sleeping in shown
    assert "cancelled by" in project.answer("loco_jobs", "why", computing)
    assert worker.terminate() == CLEAN
    assert "came too late" not in worker.output
    assert "Lost the claim" not in worker.output
