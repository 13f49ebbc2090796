"""Code reloads: site, worker and scheduler together, and nothing lost."""

from __future__ import annotations

import os
import signal
import time

import pytest

from django_loco.shutdown import CLEAN
from tests.acceptance.project import child_of, get, is_running, wait_until

TERM = signal.SIGTERM
CHANGED = r"Stopping \(the code has changed\)"


def test_a_change_reloads_the_site_while_jobs_and_requests_run(project):
    process = project.serve("--worker", "--scheduler")
    first = child_of(process)
    project.enqueue("job")
    process.wait_for("job job begins")
    answer = project.ask_slowly(process, "request")
    project.change("pages/urls.py", "version 1", "version 2")
    project.touch_until(process, CHANGED, "pages/urls.py")
    project.open_gate("request")
    project.open_gate("job")
    assert answer.body() == "late answer"
    process.wait_for("Restarted")
    assert get(project.url()) == "version 2"
    assert [line for line in process.lines if line.startswith("job")] == ["job job begins", "job job ends"]
    assert child_of(process) != first
    assert process.terminate() == CLEAN


def test_stacks_of_the_parent_and_its_child(project):
    process = project.serve("--worker")
    project.enqueue("job")
    process.wait_for("job job begins")  # a worker that has not started yet has no threads to show
    process.signal(signal.SIGTTIN)
    process.wait_for("Stacks of all threads and asyncio tasks", count=2)
    process.wait_for("Thread loco-worker-heartbeat")
    project.open_gate("job")
    assert get(project.url()) == "version 1"
    assert process.terminate() == CLEAN


def test_a_job_that_outlasts_the_reload_is_run_again(project):
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 1}
    process = project.serve("--worker")
    project.enqueue("job")
    process.wait_for("job job begins")
    project.change("pages/tasks.py", "{name} ends", "{name} ends, and is new")
    project.touch_until(process, CHANGED, "pages/tasks.py")
    process.wait_for("job job begins", count=2)
    project.open_gate("job")
    process.wait_for("job job ends, and is new")


def test_jobs_in_memory_outlive_the_reload(project):
    project.settings |= {"WORKER_MODE": "BackgroundAsync", "LOCO": {"SHUTDOWN_TIMEOUT": 1, "NUM_WORKERS": 1}}
    process = project.serve()
    project.enqueue("first")
    project.enqueue("second")
    process.wait_for("job first begins")
    project.change("pages/urls.py", "version 1", "version 2")
    project.touch_until(process, CHANGED, "pages/urls.py")
    process.wait_for("job first begins", count=2)
    project.open_gate("first")
    process.wait_for("job first ends")
    project.open_gate("second")
    process.wait_for("job second ends")


@pytest.mark.extra("uvicorn", "none")
@pytest.mark.parametrize("server", [(), ("--http", "uvicorn"), ("--no-server",)], ids=["runserver", "uvicorn", "none"])
def test_code_that_cannot_be_loaded_is_waited_for(project, server):
    process = project.start(
        "loco_start", *server, "--worker", *(() if "--no-server" in server else [str(project.port)])
    )
    process.wait_for(r"stop +Ctrl-C")
    project.change("pages/tasks.py", "def work", "dfe work")
    project.touch_until(process, "SyntaxError", "pages/tasks.py")
    project.change("pages/tasks.py", "dfe work", "def work")
    project.touch_until(process, "Restarted", "pages/tasks.py")
    process.wait_for("Restarted")
    project.shell("from pages.tasks import work; work.enqueue('job')")
    process.wait_for("job job begins")


SCHEDULES = """
from django_loco import scheduler
from pages.{tasks} import work
scheduler.every(work, seconds=1, args=["scheduled"])
"""
WITH_SCHEDULES = SCHEDULES.format(tasks="tasks")
ARE_OFF = r"pages\.schedules cannot be imported, so its schedules are off"
FIRES = "job scheduled begins"


@pytest.mark.extra("syntax")
@pytest.mark.parametrize("faulty", [SCHEDULES.format(tasks="taskss"), "def broken(:\n"], ids=["import", "syntax"])
def test_the_repair_of_schedules_that_could_not_be_imported_reloads(project, faulty):
    project.write("pages/schedules.py", "")
    process = project.serve("--worker", "--scheduler")
    project.write("pages/schedules.py", faulty)
    project.touch_until(process, ARE_OFF, "pages/schedules.py")
    process.wait_for("Restarted")
    project.write("pages/schedules.py", WITH_SCHEDULES)
    project.touch_until(process, FIRES, "pages/schedules.py")


def test_so_does_the_module_that_they_lacked(project):
    project.write("pages/schedules.py", SCHEDULES.format(tasks="taskss"))
    process = project.serve("--worker", "--scheduler")
    process.wait_for(ARE_OFF)
    project.write("pages/taskss.py", "from pages.tasks import work\n")
    project.touch_until(process, FIRES, "pages/taskss.py")


def test_the_first_schedules_of_an_app_reload(project):
    process = project.serve("--worker", "--scheduler")
    project.write("pages/schedules.py", WITH_SCHEDULES)
    project.touch_until(process, FIRES, "pages/schedules.py")


def test_an_app_that_cannot_be_loaded_is_waited_for(project):
    process = project.serve("--worker")
    project.change("pages/apps.py", "class PagesConfig", "clas PagesConfig")
    project.touch_until(process, "SyntaxError", "pages/apps.py")
    process.wait_for("The code could not be loaded. Waiting for a change.")
    project.change("pages/apps.py", "clas PagesConfig", "class PagesConfig")
    project.touch_until(process, "Restarted", "pages/apps.py")
    assert get(project.url()) == "version 1"


def test_a_correction_that_follows_at_once_is_noticed(project):
    process = project.serve("--worker")
    project.change("pages/apps.py", "class PagesConfig", "clas PagesConfig")
    project.touch_until(process, "changed, reloading", "pages/apps.py")
    process.wait_for("SyntaxError")
    project.change("pages/apps.py", "clas PagesConfig", "class PagesConfig")  # the process is only about to end
    process.wait_for("Restarted")
    assert get(project.url()) == "version 1"


def test_a_module_that_is_new_and_cannot_be_loaded_is_waited_for(project):
    process = project.serve("--worker")
    project.write("lib/new.py", "def broken(:\n")
    project.change("pages/apps.py", "from django.apps", "import lib.new\nfrom django.apps")
    project.touch_until(process, "Waiting for a change.", "pages/apps.py")
    project.write("lib/new.py", "")
    project.touch_until(process, "Restarted", "lib/new.py")
    assert get(project.url()) == "version 1"


def test_a_module_that_was_missing_is_waited_for(project):
    process = project.serve("--worker")
    project.change("pages/apps.py", "from django.apps", "import pages.new\nfrom django.apps")
    project.touch_until(process, "Waiting for a change.", "pages/apps.py")
    time.sleep(2)  # a reloader that has looked at all files takes a new one for an old one
    project.write("pages/new.py", "")
    process.wait_for("Restarted")
    assert get(project.url()) == "version 1"


def test_a_signal_while_no_code_could_be_loaded_ends_it(project):
    process = project.serve("--worker")
    project.change("pages/apps.py", "class PagesConfig", "clas PagesConfig")
    project.touch_until(process, "Waiting for a change.", "pages/apps.py")
    assert process.terminate() == CLEAN


def test_a_signal_during_a_reload_ends_it(project):
    process = project.serve("--worker")
    project.enqueue("job")
    process.wait_for("job job begins")
    project.change("pages/urls.py", "version 1", "version 2")
    project.touch_until(process, CHANGED, "pages/urls.py")
    process.signal(TERM)
    project.open_gate("job")
    assert process.wait() == CLEAN
    assert "Restarted" not in process.output


def test_worker_and_scheduler_reload_without_a_server(project):
    process = project.start("loco_start", "--no-server", "--worker", "--scheduler")
    process.wait_for("stop +Ctrl-C")
    project.change("pages/tasks.py", "{name} ends", "{name} ends, and is new")
    project.touch_until(process, CHANGED, "pages/tasks.py")
    process.wait_for("Restarted")
    assert process.terminate() == CLEAN


def test_without_the_reloader_a_change_does_nothing(project):
    process = project.serve("--worker", "--noreload")
    assert child_count(process.pid) == 0
    project.change("pages/urls.py", "version 1", "version 2")
    assert get(project.url()) == "version 1"


def child_count(pid: int) -> int:
    with open(f"/proc/{pid}/task/{pid}/children") as children:  # noqa: PTH123
        return len(children.read().split())


def test_processes_started_by_the_site_do_not_hold_on_to_the_link(project):
    start = "if 'RUN_MAIN' in os.environ: subprocess.Popen(['sleep', '60'], close_fds=False)"
    project.change("pages/hooks.py", "import os\n", f"import os, subprocess\n{start}\n")
    process = project.serve("--worker")
    child = child_of(process)
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(child), "end of the child")
