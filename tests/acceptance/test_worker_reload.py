"""``loco_worker`` and ``loco_scheduler`` in development: they begin anew when the code changes."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from django_loco.shutdown import CLEAN

from .servers import to_all

CHANGED = r"\(the code has changed\)"


def enqueue(project, *names: str) -> None:
    code = f"from pages.tasks import work\nfor name in {names!r}: work.enqueue(name)"
    project.shell(code)


def change(project, process) -> None:
    project.change("pages/tasks.py", "{name} ends", "{name} ends, and is new")
    project.touch_until(process, CHANGED, "pages/tasks.py")


def start(project, *arguments: str):
    process = project.start(*arguments, "--reload")
    process.wait_for(r"reload +when code changes")
    process.wait_for(r"stop +Ctrl-C")
    return process


def test_a_worker_begins_anew_when_its_jobs_have_ended(project):
    enqueue(project, "first", "second")
    project.open_gate("second")
    process = start(project, "loco_worker", "--concurrency", "1")
    process.wait_for("job first begins")
    change(project, process)
    project.open_gate("first")
    process.wait_for("Restarted")
    process.wait_for("job second ends, and is new")
    assert [line for line in process.lines if "job first" in line] == ["job first begins", "job first ends"]
    assert process.terminate() == CLEAN


def test_a_scheduler_begins_anew(project):
    process = start(project, "loco_scheduler")
    change(project, process)
    process.wait_for("Restarted")
    assert process.terminate() == CLEAN


@pytest.mark.extra("schedule")
@pytest.mark.parametrize("options", [(), ("--scheduler",)], ids=["job", "schedule"])
def test_the_repair_of_tasks_that_could_not_be_imported_reloads(project, options):
    enqueue(project, "job")
    project.write("pages/urls.py", "urlpatterns = []\n")
    project.change("pages/tasks.py", "def work", "dfe work")
    process = start(project, "loco_worker", *options)
    process.wait_for(r"pages\.tasks cannot be imported, so" if options else "SyntaxError")
    project.change("pages/tasks.py", "dfe work", "def work")
    project.touch_until(process, "Restarted", "pages/tasks.py")
    assert process.terminate() == CLEAN


def test_several_processes_are_replaced_one_after_the_other(project):
    process = project.start("loco_worker", "--processes", "2", "--reload")
    process.wait_for(r"Process \d is ready", count=2)
    change(project, process)
    process.wait_for(r"Process \d is ready", count=4)
    enqueue(project, "job")
    project.open_gate("job")
    process.wait_for("job job ends, and is new")
    enqueue(project, "later")
    process.wait_for("job later begins")
    project.change("pages/tasks.py", "def work", "dfe work")
    project.touch_until(process, r"does not start\. The present processes are kept", "pages/tasks.py")
    project.open_gate("later")
    process.wait_for("job later ends, and is new")
    assert process.terminate() == CLEAN


def test_several_processes_are_replaced_when_a_module_beside_the_apps_changes(project):
    project.write("lib/words.py", "END = 'ends'\n")
    project.change("pages/tasks.py", "from pages.steps", "from lib.words import END\nfrom pages.steps")
    project.change("pages/tasks.py", "{name} ends", "{name} {END}")
    process = project.start("loco_worker", "--processes", "1", "--reload")
    process.wait_for(r"Process \d is ready")
    project.write("lib/words.py", "END = 'ends, and is new'\n")
    project.touch_until(process, CHANGED, "lib/words.py")
    process.wait_for(r"Process \d is ready", count=2)
    enqueue(project, "job")
    project.open_gate("job")
    process.wait_for("job job ends, and is new")
    assert process.terminate() == CLEAN


def test_signals_for_the_worker_reach_it(project):
    enqueue(project, "job")
    process = start(project, "loco_worker")
    process.wait_for("job job begins")  # a worker that has not started yet has no threads to show
    to_all(process, signal.SIGTSTP)
    process.wait_for("Quiet: this process takes no more jobs")
    process.signal(signal.SIGTSTP)
    process.signal(signal.SIGTTIN)
    process.wait_for("Thread loco-worker-heartbeat")
    assert process.output.count("Quiet: ") == 1
    project.open_gate("job")
    process.wait_for("job job ends")
    assert process.terminate() == CLEAN


@pytest.mark.parametrize(
    ("debug", "arguments"),
    [(False, ("--reload",)), (True, ("--noreload",)), (True, ("--max-jobs", "9", "--reload"))],
)
def test_in_production_and_where_it_is_not_wanted_there_is_but_one_process(project, debug, arguments):
    project.settings["DEBUG"] = debug
    process = project.start("loco_worker", *arguments)
    process.wait_for(r"stop +Ctrl-C")
    assert "reload" not in process.output
    assert Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == ""
    assert process.terminate() == CLEAN


def test_a_wrong_option_ends_it_at_once(project):
    assert "Did you mean 'emails'?" in project.answer("loco_worker", "--queues", "email", "--reload", code=1)


@pytest.mark.parametrize(
    "arguments",
    [("loco_worker",), ("loco_scheduler",), ("loco_start", "--no-server", "--worker")],
    ids=["worker", "scheduler", "start"],
)
def test_a_health_port_that_is_taken_is_not_waited_for(project, arguments):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = project.start(*arguments, "--health-port", str(port), "--reload")
        assert process.wait() == 1
    assert (
        f"--health-port: cannot listen on 127.0.0.1:{port}: Address already in use. Choose another port."
        in process.output
    )
    assert "Waiting for a change" not in process.output
