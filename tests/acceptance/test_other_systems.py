"""Each command where nothing is available that only Linux has."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from django_loco.shutdown import CLEAN

from .project import get

MORE_TASKS = """
import asyncio, sys
from django_loco import locks
from django_loco.tasks import task
from pages.steps import say

@task
def where():
    with locks.lock("one at a time"):
        say(f"sync job on {sys.platform}")

@task
async def awhere():
    say(f"async job on {sys.platform}")

@task(timeout=0.5)
def too_long():
    while True:
        pass
"""
SCHEDULES = """
from django_loco import scheduler
from pages.more import where

scheduler.every(where, seconds=1)
"""


@pytest.fixture
def project(project):
    project.change(
        "manage.py", "import os, sys", "import os, sys\nfrom tests.posix_only import take_linux_away\ntake_linux_away()"
    )
    project.write("pages/more.py", MORE_TASKS)
    return project


def enqueue_each(project) -> None:
    project.shell("from pages.more import *\nwhere.enqueue()\nawhere.enqueue()\ntoo_long.enqueue()")


def wait_for_each(process) -> None:
    process.wait_for("sync job on darwin")
    process.wait_for("async job on darwin")
    process.wait_for("JobTimeout")


def test_site_worker_and_scheduler_start_reload_and_stop(project):
    project.write("pages/schedules.py", SCHEDULES)
    process = project.serve("--worker", "--scheduler")
    enqueue_each(project)
    wait_for_each(process)
    project.change("pages/urls.py", "version 1", "version 2")
    project.touch_until(process, r"Stopping \(the code has changed\)", "pages/urls.py")
    process.wait_for("Restarted")
    assert get(project.url()) == "version 2"
    process.wait_for("sync job on darwin", count=process.output.count("sync job on darwin") + 1)
    process.signal(signal.SIGINT)
    assert process.wait() == CLEAN


def test_several_worker_processes_start_and_stop(project):
    process = project.start("loco_worker", "--processes", "2", "--max-memory", "4000")
    process.wait_for("Process . is ready", count=2)
    enqueue_each(project)
    wait_for_each(process)
    assert process.terminate() == CLEAN


def test_other_commands(project):
    enqueue_each(project)
    assert "3" in project.manage("loco_status")
    process = project.start("loco_worker", "--drain")
    process.wait()
    wait_for_each(process)
    assert "too_long" in project.manage("loco_jobs", "list", "status:failed")
    project.manage("check")


def test_windows_is_refused_with_a_remedy():
    code = "import os, random, importlib.abc; del os.register_at_fork; import django_loco"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "ImportError: django-loco needs a POSIX system" in ended.stderr
    assert "WSL" in ended.stderr
