"""``loco_start`` under real signals, to the parent, the child and both, with jobs and requests in flight."""

from __future__ import annotations

import os
import signal
import urllib.error

import pytest

from django_loco.shutdown import CLEAN, FORCED
from tests.acceptance.project import Project, child_of, get, is_running, wait_until
from tests.processes import Process

TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL


def to_parent(process: Process, number: signal.Signals) -> None:
    process.signal(number)


def to_child(process: Process, number: signal.Signals) -> None:
    os.kill(child_of(process), number)


def to_group(process: Process, number: signal.Signals) -> None:
    os.killpg(process.pid, number)


@pytest.mark.parametrize(
    ("send", "number", "arguments"),
    [
        (to_parent, TERM, ()),
        (to_child, TERM, ()),
        (to_group, INT, ()),
        (to_parent, INT, ()),
        (to_parent, TERM, ("--noreload",)),
        (to_group, INT, ("--noreload",)),
        (to_parent, TERM, ("--noreload", "--nothreading")),
    ],
)
def test_one_signal_lets_jobs_and_requests_end(project, send, number, arguments):
    process = project.serve("--worker", *arguments)
    project.enqueue("job")
    process.wait_for("job job begins")
    answer = project.ask_slowly(process, "request")
    send(process, number)
    process.wait_for(rf"Stopping \({number.name}\)")
    project.open_gate("request")
    assert answer.body() == "late answer"
    project.open_gate("job")
    process.wait_for("job job ends")
    assert process.wait() == CLEAN
    assert "Second signal" not in process.output


def test_the_port_is_closed_while_jobs_end(project):
    process = project.serve("--worker")
    project.enqueue("job")
    process.wait_for("job job begins")
    process.signal(TERM)
    process.wait_for("Stopping")
    wait_until(lambda: refuses(project), "refusal")
    project.open_gate("job")
    assert process.wait() == CLEAN


def refuses(project: Project) -> bool:
    try:
        get(project.url(), patience=0)
    except urllib.error.URLError as error:
        return isinstance(error.reason, ConnectionRefusedError)
    except ConnectionError:
        return False
    return False


@pytest.mark.parametrize("arguments", [(), ("--noreload",)])
def test_a_second_signal_hands_jobs_back(project, arguments):
    process = project.serve("--worker", *arguments)
    project.enqueue("job")
    process.wait_for("job job begins")
    process.signal(INT)
    process.wait_for("Stopping")
    process.signal(TERM)
    assert process.wait() == FORCED
    assert "Stopped by force" in process.output
    project.open_gate("job")
    project.serve("--worker").wait_for("job job ends")


@pytest.mark.parametrize("arguments", [(), ("--noreload",)])
def test_a_signal_sent_to_the_parent_and_then_to_the_group_is_one(project, arguments):
    process = project.serve("--worker", *arguments)
    project.enqueue("job")
    process.wait_for("job job begins")
    process.signal(TERM)
    to_group(process, TERM)
    process.wait_for("Stopping")
    project.open_gate("job")
    assert process.wait() == CLEAN


@pytest.mark.parametrize("arguments", [(), ("--noreload",)])
def test_a_third_signal_ends_it_at_once(project, arguments):
    process = project.serve("--worker", *arguments, SITE_STUCK_HOOK="1")
    process.signal(INT)
    process.wait_for("hook stuck")
    process.signal(TERM)
    process.wait_for("Second signal")
    process.signal(INT)
    assert process.wait() == FORCED
    assert "abandoned" not in process.output


def test_what_is_in_flight_at_the_deadline_is_cut_off(project):
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 1}
    process = project.serve("--noreload")
    project.ask_slowly(process, "request")
    process.signal(TERM)
    assert process.wait() == FORCED
    assert "Handed back or cut off: 1 by the server" in process.output


def test_threads_that_others_leave_behind_do_not_hold_up_the_end(project):
    project.change(
        "pages/tasks.py", "def work(name):", "def work(name):\n    threading.Timer(300, say, ['late']).start()"
    )
    project.change("pages/tasks.py", "from pages", "import threading\nfrom pages")
    process = project.serve("--worker", "--noreload")
    project.open_gate("job")
    project.enqueue("job")
    process.wait_for("job job ends")
    process.signal(TERM)
    assert process.wait() == CLEAN


def test_what_waits_in_memory_outlives_a_stop(project):
    project.settings |= {"WORKER_MODE": "BackgroundAsync", "LOCO": {"NUM_WORKERS": 1}}
    process = project.serve(SITE_HOOKS="1")
    project.enqueue("first")
    project.enqueue("second")
    process.wait_for("job first begins")
    process.signal(TERM)
    process.wait_for("hook during")  # from now on nothing is fetched
    project.open_gate("first")
    assert process.wait() == CLEAN
    assert "job second begins" not in process.output
    project.open_gate("second")
    project.serve().wait_for("job second ends")


def test_a_parent_that_is_killed_takes_its_child_along(project):
    process = project.serve("--worker")
    child = child_of(process)
    project.enqueue("job")
    process.wait_for("job job begins")
    os.kill(process.pid, KILL)
    process.wait_for("the parent process has ended")
    project.open_gate("job")
    process.wait_for("job job ends")
    wait_until(lambda: not is_running(child), "end of the child")
    wait_until(lambda: refuses(project), "refusal")


def test_a_child_that_is_killed_takes_its_parent_along(project):
    process = project.serve("--worker")
    os.kill(child_of(process), KILL)
    assert process.wait() == 128 + KILL


def test_the_order_of_hooks_and_resources(project):
    process = project.serve("--worker", "--scheduler", SITE_HOOKS="1")
    project.open_gate("job")
    project.enqueue("job")
    process.wait_for("job job ends")
    process.wait_for("[0-9] schedules")
    process.signal(TERM)
    assert process.wait() == CLEAN
    said = [line for line in process.lines if line.startswith(("hook", "resource"))]
    assert said == [
        "hook before, because of SIGTERM",
        "hook during, beside ['scheduler', 'worker']",
        "resource closed",
        "hook after",
    ]
