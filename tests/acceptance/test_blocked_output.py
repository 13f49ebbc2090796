"""Output that cannot be written: to a pipe that nobody reads, a full disk, a reader that is gone. Work goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_loco.shutdown import CLEAN, FORCED
from tests.processes import SECONDS, free_port

from .project import get, wait_until

TASKS = """
import os, time
from pathlib import Path
from django_loco.tasks import task

@task
def work(name):
    (Path(__file__).parents[1] / f"{name} was here").touch()
"""
#: Something that Django's checks have to say at the start.
WARNING = """
from django.core import checks

@checks.register
def warn(app_configs, **kwargs):
    return [checks.Warning("Look here.", id="pages.W001")]
"""
#: A handler of the project's own, for a pipe that nobody reads.
BLOCKED_LOGGING = """
import logging, os

class Blocked(logging.Handler):
    def emit(self, record):
        os.write(PIPE, b"x" * 4096)

_, PIPE = os.pipe()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"blocked": {"()": Blocked}},
    "root": {"handlers": ["blocked"], "level": "INFO"},
}
os.set_blocking(PIPE, False)
try:
    while os.write(PIPE, b"x" * 4096):
        pass
except BlockingIOError:
    os.set_blocking(PIPE, True)
"""
COMMANDS = {
    "loco_worker": ("loco_worker",),
    "--processes": ("loco_worker", "--processes", "2"),
    "runserver": ("loco_start", "--worker", "--noreload"),
    "reloaded": ("loco_start", "--worker"),
    "uvicorn": ("loco_start", "--worker", "--noreload", "--http", "uvicorn"),
    "gunicorn": ("loco_start", "--worker", "--noreload", "--http", "gunicorn"),
}


class Pipe:
    """A pipe that takes nothing more."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        try:
            while True:
                os.write(self.writer, b"." * 4096)
        except BlockingIOError:
            os.set_blocking(self.writer, True)

    def read(self) -> str:
        """Read what there is."""
        return os.read(self.reader, 1 << 20).decode()

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def project(project):
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 2}
    project.write("pages/tasks.py", TASKS)
    return project


@pytest.fixture
def start(project):
    """Starts a command of the project with its output somewhere, and kills it at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(output: int, *arguments: str) -> subprocess.Popen[bytes]:
        port = [str(project.port)] if arguments[0] == "loco_start" else []
        process = subprocess.Popen(
            project.command_line(*arguments, *port),
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def enqueue(project, *names: str) -> None:
    code = f"from pages.tasks import work\nfor name in {names!r}: work.enqueue(name)"
    project.shell(code)


def wait_for_job(project, name: str) -> None:
    wait_until((Path(project.folder) / f"{name} was here").exists, f"job {name}")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_pipe_that_nobody_reads_keeps_it_from_nothing(project, start, pipe, command):
    enqueue(project, "job")
    process = start(pipe.writer, *command)
    wait_for_job(project, "job")
    process.terminate()
    assert process.wait(SECONDS) == CLEAN


def test_health_tells_of_it_and_the_log_of_what_was_dropped(project, start, pipe):
    enqueue(project, *(f"job{number}" for number in range(50)))
    port = free_port()
    process = start(pipe.writer, "loco_worker", "--health-port", str(port))
    wait_for_job(project, "job49")
    url = f"http://127.0.0.1:{port}/_health"
    wait_until(lambda: json.loads(get(url))["log"]["blocked"], "blocked log in health")
    assert json.loads(get(url))["status"] == "degraded"
    found = ""
    while len(re.findall("done in", found)) < 50:
        found += pipe.read()
    wait_until(lambda: json.loads(get(url))["status"] == "ok", "health")
    process.terminate()
    assert process.wait(SECONDS) == CLEAN


@pytest.mark.parametrize("command", ["loco_worker", "loco_scheduler"])
def test_a_handler_of_the_project_that_blocks_does_not_keep_it_from_ending(project, start, command):
    project.write("site_settings.py", (project.folder / "site_settings.py").read_text() + BLOCKED_LOGGING)
    reader, writer = os.pipe()
    process = start(writer, command)
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        while b"Ctrl-C" not in output.readline():
            assert process.poll() is None
        process.terminate()
        assert process.wait(SECONDS) in (CLEAN, FORCED)


@pytest.mark.parametrize("how", ["no reader", "full"])
@pytest.mark.parametrize("command", [COMMANDS["loco_worker"], COMMANDS["runserver"]], ids=["loco_worker", "runserver"])
def test_output_that_fails_keeps_it_from_nothing(project, start, command, how):
    project.write("pages/hooks.py", WARNING)
    enqueue(project, "job")
    if how == "full":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, output = os.pipe()
        os.close(reader)
    process = start(output, *command)
    os.close(output)
    wait_for_job(project, "job")
    process.terminate()
    assert process.wait(SECONDS) == CLEAN
