"""How processes end: jobs enqueued in their last moments are run or kept, and the exit code tells the truth."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from django_loco.shutdown import CLEAN, FORCED

LATE = {
    "a thread that outlives the main thread": "threading.Thread(target=lambda: (time.sleep(1), late())).start()",
    "an executor's thread": "ThreadPoolExecutor(1).submit(lambda: (time.sleep(1), late()))",
    "atexit": "atexit.register(late)",
    "atexit, before django_loco was imported": "register_below(in_process.workers._keep_at_exit, late)",
}


@pytest.mark.parametrize("how", LATE.values(), ids=LATE)
def test_jobs_enqueued_while_the_process_ends_are_run_or_kept(project, how):
    project.settings["WORKER_MODE"] = "BackgroundAsync"
    names = [f"late{number}" for number in range(5)]
    for name in ("early", *names):
        project.open_gate(name)
    code = f"""
import atexit, threading, time
from concurrent.futures import ThreadPoolExecutor
from django_loco.worker import in_process
from pages.tasks import work
def register_below(upper, function):
    atexit.unregister(upper)
    atexit.register(function)
    atexit.register(upper)  # the last one runs first
def late():
    for name in {names!r}: work.enqueue(name)
work.enqueue("early")
{how}
"""
    output = project.manage("shell", "--verbosity", "0", "--command", code)
    files = (project.folder / ".django-loco").rglob("*.jobs")
    kept = [json.loads(json.loads(line)["arguments"])[0][0] for file in files for line in file.read_text().splitlines()]
    ran = [name for name in names if f"job {name} ends" in output]
    assert sorted(ran + kept) == names


@pytest.mark.parametrize("earlier", ["", "import concurrent.futures.process"], ids=["by the job", "earlier"])
def test_a_job_may_use_a_pool_of_processes_while_a_command_ends(project, earlier):
    project.settings["WORKER_MODE"] = "BackgroundAsync"
    project.write(
        "pages/pools.py",
        "import math, multiprocessing, threading, time\n"
        "from django_loco.tasks import task\nfrom pages.steps import say\n"
        "@task\ndef root():\n"
        "    while not threading._SHUTTING_DOWN: time.sleep(0.01)\n"
        "    from concurrent.futures import ProcessPoolExecutor\n"
        "    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:\n"
        "        say(f'the root is {pool.submit(math.sqrt, 9).result()}')\n",
    )
    code = f"from pages.pools import root\n{earlier}\nroot.enqueue()"
    assert "the root is 3.0" in project.manage("shell", "--verbosity", "0", "--command", code)


def test_an_async_job_that_was_cancelled_and_handed_back_makes_the_end_a_forced_one(project):
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 2}
    project.write(
        "pages/slow.py",
        "import asyncio\nfrom django_loco.tasks import task\nfrom pages.steps import say\n"
        "@task\nasync def sleep():\n    say('job begins')\n    await asyncio.sleep(60)\n",
    )
    project.shell("from pages.slow import sleep; sleep.enqueue()")
    process = project.start("loco_worker")
    process.wait_for("job begins")
    assert process.terminate() == FORCED
    assert "Handed back or cut off: 1 by the worker" in process.output


def storm(process, count: int = 200) -> None:
    """Send so many SIGHUPs, a millisecond apart, or until there is nobody left to get them."""
    for _ in range(count):
        process.signal(signal.SIGHUP)
        threading.Event().wait(0.001)


@pytest.mark.parametrize("command", [("loco_worker",), ("loco_worker", "--scheduler"), ("loco_start", "--worker")])
def test_no_signal_kills_one_that_is_about_to_end(project, command):
    address = (str(project.port), "--noreload") if command[0] == "loco_start" else ()
    process = project.start(*command, *address)
    process.wait_for(r"stop +Ctrl-C")
    storm(process)
    assert process.wait() in (CLEAN, FORCED)


@pytest.mark.extra("0.3", "0.9")
@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.6, 0.9, 1.2])
def test_signals_from_the_first_moment_on_lose_no_job(project, seconds):
    """Who has no handlers yet is killed, and holds nothing; who has them hands back what it holds."""
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 0.2, "LEASE": 3600}
    names = [f"job{number}" for number in range(5)]
    code = f"from pages.tasks import work\nfor name in {names!r}: work.enqueue(name)"
    project.manage("shell", "--verbosity", "0", "--command", code)
    process = project.start("loco_worker")
    threading.Event().wait(seconds)
    storm(process)
    if process.wait() == -signal.SIGHUP:
        assert "Ctrl-C" not in process.output
    for name in names:
        project.open_gate(name)
    worker = project.start("loco_worker", "--drain")
    assert worker.wait() == CLEAN
    assert {f"job {name} ends" for name in names} <= {*worker.lines}
