"""Processes that were started without stdin, stdout and stderr, as some process managers do."""

from __future__ import annotations

from pathlib import Path

import pytest

from django_loco.shutdown import CLEAN
from tests.acceptance.project import FILES, get, wait_until
from tests.processes import free_port

CLOSE = """
import os, sys
if numbers := os.environ.pop("CLOSE", ""):
    for number in numbers:
        os.close(int(number))
    os.execv(sys.executable, [sys.executable, *sys.argv])
"""


@pytest.mark.parametrize("streams", ["0", "012"])
@pytest.mark.parametrize(
    "arguments", [["loco_worker", "--health-port"], ["loco_start", "--all"]], ids=["worker", "start"]
)
def test_it_runs_and_ends_as_ever(project, streams, arguments):
    project.write("manage.py", CLOSE + FILES["manage.py"])
    project.write(
        "pages/urls.py",
        "from django.urls import include, path\nurlpatterns = [path('', include('django_loco.urls.health'))]\n",
    )
    port = free_port()
    process = project.start(*arguments, str(port), CLOSE=streams)
    wait_until(lambda: not process.is_running or runs(port), "answer")
    if "worker" in arguments[0]:
        open_files = Path(f"/proc/{process.pid}/fd")
        assert [str((open_files / number).readlink()) for number in streams] == ["/dev/null"] * len(streams)
    assert process.terminate() == CLEAN
    assert "Traceback" not in process.output


@pytest.mark.parametrize("streams", [pytest.param("1", marks=pytest.mark.extra), "012"])
@pytest.mark.parametrize(
    "words",
    [("loco_jobs", "list"), ("loco_jobs", "dump"), ("loco_status",), ("loco_scheduler", "--list"), ("loco_doctor",)],
    ids=" ".join,
)
def test_a_command_that_says_something_ends_as_ever(project, streams, words):
    project.write("manage.py", CLOSE + FILES["manage.py"])
    process = project.start(*words, CLOSE=streams)
    assert (process.wait(), process.output) == (CLEAN, "")


def runs(port: int) -> bool:
    """Whether it answers, and its worker runs: until then a signal just ends it."""
    try:
        return '"running"' in get(f"http://127.0.0.1:{port}/_health", patience=0)
    except OSError:
        return False
