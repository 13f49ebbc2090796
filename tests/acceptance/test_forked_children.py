"""Processes that jobs have forked and left behind: they keep no process from ending, and no port from the next one."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from django_loco.shutdown import CLEAN
from tests.postgres import project_on_postgres
from tests.processes import Process, free_port

from .project import is_running, wait_until

TASKS = """
import multiprocessing, os, signal, subprocess, sys, time
from django.db import transaction
from django.db.migrations.recorder import MigrationRecorder
from django_loco.tasks import task
from pages.steps import say

Row = MigrationRecorder.Migration

def start_multiprocessing():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    return child.pid

def start_fork():
    if pid := os.fork():
        return pid
    time.sleep(60)
    os._exit(0)

def start_popen():
    return subprocess.Popen(["sleep", "60"], close_fds=False).pid

@task
def work(way):
    say(f"child {globals()['start_' + way]()} lives")

@task
def kill_many(count):
    for number in range(count):
        pid = os.fork()
        if not pid:
            time.sleep(60)
            os._exit(0)
        os.kill(pid, signal.SIGTERM)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != -signal.SIGTERM:
            say("one was not killed")
    say("all are killed")

def fork_that(ends):
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(60)
    if ends == "raises":
        raise LookupError("in the child")
    if ends == "exits":
        sys.exit(3)

def count_and_enqueue():
    for number in range(50):
        Row.objects.count()
    noted.enqueue()

@task
def noted():
    say("noted")

@task
def share():
    # queries beside children that do, too
    count = Row.objects.count()
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=count_and_enqueue) for number in range(4)]
    for child in children:
        child.start()
    assert min(Row.objects.count() for number in range(100)) >= count
    for child in children:
        child.join()
    say(f"children with {[child.exitcode for child in children]}")

@task
def share_transaction():
    with transaction.atomic():
        made = Row.objects.create(app="pages", name="made")
        child = multiprocessing.get_context("fork").Process(target=count_and_enqueue)
        child.start()
        child.join()
    say(f"child with {child.exitcode}, found {Row.objects.filter(pk=made.pk).count()}")

@task
def fork(ends):
    say(f"sync child that {ends}: {fork_that(ends)}")

@task
async def afork(ends):
    say(f"async child that {ends}: {fork_that(ends)}")
"""
HOOKS = """
from django_loco import shutdown
from pages.steps import say
from pages.tasks import start_multiprocessing

@shutdown.before_server_shutdown
def before(context):
    say(f"child {start_multiprocessing()} lives")
"""


def start_uvicorn(served) -> Process:
    process = served.command("uvicorn", "site_lifespan:application", f"--port={served.port}")
    process.wait_for("Uvicorn running")
    return process


Start = Callable[[Any], Process]
SERVERS: dict[str, Start] = {
    "runserver": lambda served: served.serve("--worker", "--noreload"),
    "loco_start --http uvicorn": lambda served: served.serve("--worker", "--noreload", "--http", "uvicorn"),
    "gunicorn": lambda served: served.gunicorn("--threads", "4", "--graceful-timeout", "20"),
    "uvicorn": start_uvicorn,
}


@pytest.fixture
def served(served):
    served.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 10}
    served.write("pages/tasks.py", TASKS)
    return served


def enqueue(project, name: str, argument: str) -> None:
    project.shell(f"from pages.tasks import *\n{name}.enqueue({argument})")


def child_left_by(process: Process) -> int:
    return int(process.wait_for(r"child (\d+) lives")[1])


def ends_beside(child: int, process: Process) -> None:
    """As ``has_ended_beside``, on a signal."""
    process.signal(signal.SIGTERM)
    has_ended_beside(child, process)


def has_ended_beside(child: int, process: Process) -> None:
    """The process ends although the child lives, names it, and has given it no handler that would keep it alive."""
    wait_until(lambda: not process.is_running, "end of the process")
    assert is_running(child)
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: not is_running(child), "end of the child")
    assert process.wait() in (CLEAN, -signal.SIGTERM)  # the second is uvicorn's own way
    assert f"child process {child} (" in process.output


@pytest.mark.parametrize("way", ["multiprocessing", "fork", "popen"])
def test_a_worker_ends(served, way):
    enqueue(served, "work", repr(way))
    process = served.start("loco_worker")
    ends_beside(child_left_by(process), process)


def test_several_workers_end(served):
    enqueue(served, "work", "'multiprocessing'")
    process = served.start("loco_worker", "--processes", "2")
    ends_beside(child_left_by(process), process)


def test_a_scheduler_ends(served):
    served.write("pages/hooks.py", HOOKS)
    process = served.start("loco_scheduler")
    process.wait_for(r"stop +Ctrl-C")
    process.signal(signal.SIGTERM)
    has_ended_beside(child_left_by(process), process)  # without another signal, which would force the end


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_ends_and_its_port_is_free(served, server):
    process = SERVERS[server](served)
    served.enqueue("multiprocessing")
    child = child_left_by(process)
    process.signal(signal.SIGTERM)
    wait_until(lambda: not process.is_running, "end of the process")
    assert is_running(child)
    if server != "uvicorn":  # whose socket is its own affair
        socket.create_server(("127.0.0.1", served.port)).close()
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: not is_running(child), "end of the child")
    assert process.wait() in (CLEAN, -signal.SIGTERM)  # the second is uvicorn's own way
    assert f"child process {child} (" in process.output


def test_the_next_worker_has_the_port_for_health(served):
    port = str(free_port())
    enqueue(served, "work", "'fork'")
    process = served.start("loco_worker", "--health-port", port)
    child = child_left_by(process)
    process.signal(signal.SIGTERM)
    wait_until(lambda: not process.is_running, "end of the process")
    following = served.start("loco_worker", "--health-port", port)
    following.wait_for(r"stop +Ctrl-C")
    os.kill(child, signal.SIGKILL)
    assert following.terminate() == CLEAN


def test_a_signal_for_a_child_that_has_just_been_forked_is_the_childs(served):
    enqueue(served, "kill_many", "100")
    process = served.start("loco_worker")
    process.wait_for("all are killed")
    assert "one was not killed" not in process.output
    assert "Stopping" not in process.output
    assert process.terminate() == CLEAN


def test_a_child_ends_with_the_code_of_its_job(served):
    """It does not go on as a second worker, which would report the job once more and never end."""
    for name in ("fork", "afork"):
        for ends in ("returns", "raises", "exits"):
            enqueue(served, name, repr(ends))
    process = served.start("loco_worker", "--drain")
    process.wait()
    for name in ("sync", "async"):
        for ends, code in (("returns", 0), ("raises", 1), ("exits", 3)):
            assert process.output.count(f"\n{name} child that {ends}: {code}") == 1
    assert process.output.count(" done in ") == 6
    assert process.output.count("LookupError: in the child") == 2


@pytest.fixture
def with_tables_on_postgres(served):
    with project_on_postgres(served):
        yield served


def test_children_of_a_job_have_connections_of_their_own(with_tables_on_postgres):
    project = with_tables_on_postgres
    project.shell("from pages.tasks import *\nshare.enqueue()\nshare_transaction.enqueue()")
    process = project.start("loco_worker", "--drain")
    process.wait()
    assert "children with [0, 0, 0, 0]" in process.output
    assert process.output.count("noted\n") == 4
    assert "Cannot open a new connection in an atomic block" in process.output  # in the child: nothing was counted
    assert "child with 1, found 1" in process.output
    assert " failed" not in process.output
