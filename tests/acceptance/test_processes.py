"""``loco_worker --processes``: a parent, its children, and what becomes of them."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
from pathlib import Path

import pytest

from django_loco.shutdown import CLEAN, FORCED
from tests.processes import ROOT, Process

from .project import is_running, wait_until

MORE_TASKS = """
import os, subprocess
from django_loco.tasks import task
from pages.steps import say, wait_for_file

@task
def where(name):
    say(f"job {name} runs in {os.getpid()}")

@task
def eat(megabytes):
    say(f"job eats in {os.getpid()}")
    eaten.append(b"x" * megabytes * 1024 * 1024)

@task
def leave_an_orphan(name):
    # The shell ends first, so that sleep gets another parent.
    say("orphan " + subprocess.check_output("sleep 0.2 >/dev/null & echo $!", shell=True, text=True).strip())

eaten = []
"""
#: Makes a process adopt the orphans among its descendants, as the first process of a container does.
ADOPTING = """
if not os.environ.get("ADOPTING"):
    import ctypes
    ctypes.CDLL(None).prctl(36, 1)
    os.close(0)
    os.environ["ADOPTING"] = "yes"
    os.execv(sys.executable, [sys.executable, *sys.argv])
"""


@pytest.fixture
def project(project):
    project.write("pages/more.py", MORE_TASKS)
    return project


def enqueue(project, *names: str, task: str = "work") -> None:
    calls = "\n".join(f"{task}.enqueue({name!r})" for name in names)
    project.shell(f"from pages.tasks import *\nfrom pages.more import *\n{calls}")


def start(project, *arguments: str, count: int = 2, **environment: str):
    process = project.start("loco_worker", "--processes", str(count), *arguments, **environment)
    process.wait_for("Process . is ready", count=count)
    return process


def child(process, number: int) -> int:
    """Return the id of the child that was the last to take this place."""
    return int(re.findall(rf"Process {number} is ready \(pid (\d+)\)", process.output)[-1])


def test_each_process_runs_jobs_and_all_end_in_order(project):
    process = start(project, "--concurrency", "1")
    enqueue(project, "one", "two")
    process.wait_for("job .* begins", count=2)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: it reaches the parent and its children, and is one signal
    process.wait_for(r"Stopping \(SIGINT\)", count=3)
    for name in ("one", "two"):
        project.open_gate(name)
    assert process.wait() == CLEAN
    assert {"job one ends", "job two ends"} <= set(process.lines)
    for label in ("[loco]", "[loco.1]", "[loco.2]", "[worker.1]", "[worker.2]"):
        assert label in process.output
    assert len([line for line in process.lines if "stop " in line]) == 1  # one banner for all


@pytest.mark.parametrize("arguments", [(), ("--reload",), ("--processes", "1")])
def test_a_script_named_by_a_relative_path_may_change_the_working_directory(project, arguments):
    project.change("manage.py", "os.environ[", "os.chdir(os.path.dirname(__file__))\nos.environ[")
    _, script, *rest = project.command_line("loco_worker", *arguments)
    process = Process([sys.executable, os.path.relpath(script, ROOT), *rest], project.environment)
    project.processes.append(process)
    enqueue(project, "one")
    process.wait_for("job one begins")
    project.open_gate("one")
    assert process.terminate() == CLEAN, process.output


def test_the_warnings_of_system_checks_are_shown_once_and_their_errors_stop_each_process(project):
    check = (
        "from django.core import checks\n@checks.register\ndef odd(**_): return [checks.Warning('odd', id='site.X')]\n"
    )
    project.change("pages/hooks.py", "import os\n", f"import os\n{check}")
    process = start(project, count=3)
    assert process.output.count("site.X") == 1
    project.change("pages/hooks.py", "checks.Warning", "checks.Error")
    process.signal(signal.SIGHUP)
    process.wait_for("SystemCheckError")


def test_a_second_signal_hands_jobs_back_and_a_third_one_ends_all(project):
    process = start(project)
    enqueue(project, "one")
    process.wait_for("job one begins")
    process.signal(signal.SIGINT)
    process.wait_for("Stopping", count=3)
    process.signal(signal.SIGTERM)
    assert process.wait() == FORCED
    assert "Handed back or cut off: 1 by the worker" in process.output


def test_a_third_signal_waits_for_nothing(project):
    process = start(project, count=1, SITE_STUCK_HOOK="1")
    process.signal(signal.SIGTERM)
    process.wait_for("hook stuck")
    process.signal(signal.SIGINT)
    process.wait_for("Second signal")  # of signals that come at once, the kernel may deliver the last one first
    process.signal(signal.SIGTERM)
    assert process.wait() == FORCED
    assert "took too long" not in process.output


def test_a_killed_process_is_replaced_and_its_jobs_are_back_long_before_their_leases_run_out(project):
    project.settings["LOCO"] = {"LEASE": 600}
    process = start(project, "--concurrency", "1")
    enqueue(project, "one", "two")
    process.wait_for("job .* begins", count=2)
    other = child(process, 2)
    os.kill(child(process, 1), signal.SIGKILL)
    process.wait_for(r"Process 1 \(pid \d+\) was killed by signal 9")
    process.wait_for(r"Rescued 1 job of workers that died: \w+#\w{8}$")
    process.wait_for("job .* begins", count=3)
    assert child(process, 2) == other
    for name in ("one", "two"):
        project.open_gate(name)
    process.wait_for("job .* ends", count=2)
    assert process.terminate() == CLEAN


def test_children_whose_parent_is_killed_end_in_order(project):
    process = start(project)
    enqueue(project, "one")
    process.wait_for("job one begins")
    children = [child(process, 1), child(process, 2)]
    process.signal(signal.SIGKILL)
    process.wait_for(r"Stopping \(the parent process has ended\)", count=2)
    project.open_gate("one")
    process.wait_for("job one ends")
    process.wait_for("Stopped$", count=2)
    for pid in children:
        wait_until(lambda pid=pid: not is_running(pid), "end of the children")


def test_hangup_replaces_one_after_the_other_and_loads_new_code(project):
    process = start(project)
    before = [child(process, 1), child(process, 2)]
    project.change("pages/more.py", "runs in", "runs by new code in")
    process.signal(signal.SIGHUP)
    process.wait_for("Process . is ready", count=4)
    process.wait_for("Stopped$", count=2)
    story = re.findall(r"Process (\d) is ready|(Stopped)$", process.output, re.MULTILINE)
    assert [a or b for a, b in story[2:]] == ["1", "Stopped", "2", "Stopped"]
    assert not set(before) & {child(process, 1), child(process, 2)}
    enqueue(project, "new", task="where")
    process.wait_for("job new runs by new code")
    project.write("pages/apps.py", "1 / 0")
    process.signal(signal.SIGHUP)
    process.wait_for("The new process 1 does not start")
    assert is_running(child(process, 1))
    assert process.terminate() == CLEAN


def test_quiet_processes_take_no_jobs_until_they_are_replaced(project):
    enqueue(project, "first", "second")
    process = start(project, "--concurrency", "1")
    process.wait_for("job (first|second) begins", count=2)  # the workers of both run
    process.signal(signal.SIGTSTP)
    process.wait_for("Quiet: ", count=2)
    project.open_gate("first")
    project.open_gate("second")
    process.wait_for("job (first|second) ends", count=2)
    enqueue(project, "one")
    project.open_gate("one")
    process.signal(signal.SIGTTIN)
    process.wait_for("Stacks of all threads and asyncio tasks", count=3)
    process.wait_for("Thread loco-worker-heartbeat", count=2)
    assert "job one begins" not in process.lines
    process.signal(signal.SIGHUP)
    process.wait_for("job one ends")
    assert process.terminate() == CLEAN


def test_all_end_when_no_job_is_left_though_each_may_run_few(project):
    enqueue(project, *"abcd", task="where")
    process = project.start("loco_worker", "--processes", "2", "--concurrency", "1", "--drain", "--max-jobs", "1")
    assert process.wait(60) == CLEAN  # six processes, one or two at a time
    ran = re.findall(r"job (.) runs in (\d+)", process.output)
    assert sorted(name for name, _ in ran) == list("abcd")
    assert max(sum(pid == other for _, other in ran) for _, pid in ran) == 1


def test_a_process_that_takes_up_too_much_memory_ends_between_jobs_and_is_replaced(project):
    process = start(project, "--max-memory", "150", count=1)
    first = child(process, 1)
    enqueue(project, "one")
    process.wait_for("job one begins")
    enqueue(project, 150, task="eat")
    process.wait_for("more than --max-memory 150: it ends")
    enqueue(project, "two", task="where")
    assert child(process, 1) == first  # the other job is still at work
    assert "job two runs" not in process.output
    project.open_gate("one")
    process.wait_for("job one ends")
    process.wait_for("job two runs in")
    assert child(process, 1) != first
    assert process.terminate() == CLEAN


def test_a_single_process_that_takes_up_too_much_memory_ends(project):
    enqueue(project, 150, task="eat")
    process = project.start("loco_worker", "--max-memory", "150")
    assert process.wait() == CLEAN
    assert "Stopping (the limit of jobs or memory is reached)" in process.output


def test_the_scheduler_is_in_one_of_them(project):
    project.write(
        "pages/schedules.py",
        "from django_loco import scheduler\nfrom pages.more import where\n"
        "scheduler.every(where, seconds=1, args=['tick'], name='ticking')\n",
    )
    process = start(project, "--scheduler")
    process.wait_for("job tick runs")
    process.signal(signal.SIGTTIN)
    process.wait_for("Stacks of all threads", count=3)
    assert process.terminate() == CLEAN
    assert len(re.findall(r"Thread loco-scheduler$", process.output, re.MULTILINE)) == 1


def test_orphans_are_buried_and_a_closed_stdin_is_no_trouble(project):
    project.change("manage.py", "os.environ[", f"{ADOPTING}os.environ[")
    process = start(project, count=1)
    enqueue(project, "one", task="leave_an_orphan")
    orphan = int(process.wait_for(r"orphan (\d+)")[1])
    wait_until(lambda: not Path(f"/proc/{orphan}").exists(), "end of the zombie")
    assert process.terminate() == CLEAN


#: Takes the terminal that is named for its own, and becomes what follows.
IN_TERMINAL = """
import os, sys
if sys.argv[1] == "in_terminal":
    os.open(sys.argv[2], os.O_RDWR)
    os.execv(sys.executable, [sys.executable, sys.argv[0], *sys.argv[3:]])
"""


def test_a_terminal_that_closes_ends_all(project):
    terminal, its_end = pty.openpty()
    project.change("manage.py", "import os, sys", IN_TERMINAL)
    process = project.start("in_terminal", os.ttyname(its_end), "loco_worker", "--processes", "1")
    process.wait_for("Process 1 is ready")
    os.close(its_end)
    os.close(terminal)
    process.wait_for(r"Stopping \(SIGHUP\)", count=2)
    assert process.wait() == CLEAN


def test_numbers_are_from_one_on(project):
    assert "is not a whole number of 1 or more" in project.answer("loco_worker", "--processes", "0", code=2)


def test_a_project_that_is_broken_is_tried_once(project):
    output = project.answer("loco_worker", "--processes", "3", "--queues", "email", code=1)
    assert output.count("TASKS has no queue 'email'") == 1


def test_too_little_memory_is_refused(project):
    assert "uses before its first" in project.answer("loco_worker", "--max-memory", "5", code=1)
