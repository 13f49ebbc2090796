"""Jobs in memory under Django's own ``runserver``, which knows nothing of them."""

from __future__ import annotations

import os
import signal

import pytest

from tests.acceptance.project import get, wait_until

LATER = """
from pages.tasks import work
for name in {names!r}: work.enqueue(name)
"""


@pytest.fixture
def project(project):
    project.settings |= {"WORKER_MODE": "BackgroundAsync", "LOCO": {"NUM_WORKERS": 1, "SHUTDOWN_TIMEOUT": 20}}
    return project


def serve(project, *options):
    process = project.start("runserver", str(project.port), *options)
    process.wait_for("Starting .*development server")
    return process


def kept(project):
    return sum(len(path.read_text().splitlines()) for path in (project.folder / ".django-loco").rglob("*.jobs"))


def keep(project, *names):
    """Let a command keep jobs for the next process."""
    project.settings["LOCO"]["SHUTDOWN_TIMEOUT"] = 1
    project.shell(LATER.format(names=names))
    assert kept(project) == len(names)


def test_a_reload_does_not_wait_for_what_waits_and_the_next_process_goes_on_with_it(project):
    process = serve(project)
    get(project.url())
    for name in ("first", "second", "third"):
        project.enqueue(name)
    process.wait_for("job first begins")
    project.touch_until(process, "changed, reloading", "pages/urls.py")
    wait_until(lambda: kept(project) == 2, "jobs kept for the next process")
    for name in ("first", "second", "third"):
        project.open_gate(name)
    process.wait_for("job third ends")  # without a request
    lines = [line for line in process.lines if line.startswith("job") or "Watching for file changes" in line]
    again = max(number for number, line in enumerate(lines) if "Watching" in line)
    assert lines[again - 1] == "job first ends"
    assert lines[again + 1 :] == ["job second begins", "job second ends", "job third begins", "job third ends"]


def test_a_job_that_outlasts_a_reload_is_run_again(project):
    project.settings["LOCO"]["SHUTDOWN_TIMEOUT"] = 1
    process = serve(project)
    project.enqueue("first")
    process.wait_for("job first begins")
    project.touch_until(process, "changed, reloading", "pages/urls.py")
    process.wait_for("job first begins", count=2)


def test_what_waits_outlives_ctrl_c(project):
    process = serve(project)
    for name in ("first", "second", "third"):
        project.enqueue(name)
    process.wait_for("job first begins")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.wait()
    assert kept(project) >= 2, "what ran may be cut off: the reloader kills its child"


def test_without_the_reloader_the_first_request_takes_up_what_was_kept(project):
    keep(project, "first")
    process = serve(project, "--noreload")
    project.open_gate("first")
    assert get(project.url()) == "version 1"
    process.wait_for("job first ends")


def test_a_server_that_finds_its_port_taken_takes_up_nothing(project):
    serve(project)
    keep(project, "first")
    second = project.start("runserver", str(project.port))
    second.wait_for("port is already in use")
    assert second.wait() == 1
    assert kept(project) == 1


def test_other_commands_load_nothing(project):
    keep(project, "first")
    project.manage("migrate")
    project.manage("shell", "-c", "from django.test import Client; Client().get('/')")
    assert kept(project) == 1
