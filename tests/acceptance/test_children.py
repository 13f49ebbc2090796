"""What the harnesses and benchmarks start ends with them, however they end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.project import is_running, wait_until
from tests.processes import ROOT, Process, close_all

pytestmark = pytest.mark.own_database

#: In the environment of all that a harness starts, and of itself.
MARK = "LOCO_TEST_MARK"
HARNESS = """
import ctypes, os, signal, sys, time
from tempfile import TemporaryDirectory
from tests.children import end_on_signals
from tests.processes import Process
PR_GET_PDEATHSIG = 2
end_on_signals()
forks = "import os, time; os.fork(); os.write(1, b'child\\\\n'); time.sleep(600)"
with TemporaryDirectory(dir=sys.argv[1]) as folder:
    child = Process([sys.executable, "-c", forks], dict(os.environ))
    try:
        child.wait_for("child", count=2)
        ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(parent_ends := ctypes.c_int()))
        print("ready", parent_ends.value, signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, flush=True)
        time.sleep(600)
    finally:
        child.close()
"""


class Harness:
    """A program, and all that it starts."""

    def __init__(self) -> None:
        self._mark = f"{MARK}={uuid4().hex}"
        self._processes: list[Process] = []

    def start(self, *command: str) -> Process:
        """Start the program."""
        name, value = self._mark.split("=")
        variables = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", name: value}
        self._processes.append(Process([*command], os.environ | variables))
        return self._processes[-1]

    def pids(self) -> list[int]:
        """Return the ids of the processes that have the mark in their environments, and are no zombies."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(FileNotFoundError, PermissionError, ProcessLookupError):
                if self._mark.encode() in (folder / "environ").read_bytes() and is_running(int(folder.name)):
                    found.append(int(folder.name))
        return found

    def wait_until_nothing_is_left(self) -> None:
        wait_until(lambda: not self.pids(), "end of all processes")

    def close(self) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        close_all(self._processes)


@pytest.fixture
def harness() -> Iterator[Harness]:
    with closing(Harness()) as harness:
        yield harness


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_children_and_folders_do_not_outlive_a_harness(tmp_path, harness, number):
    process = harness.start(sys.executable, "-c", HARNESS, str(tmp_path))
    process.wait_for("ready")
    assert len(harness.pids()) == 4, "the harness, its watcher, a child, and the child of that"
    process.signal(number)
    assert process.wait() == (-number if number == signal.SIGKILL else 128 + number)
    harness.wait_until_nothing_is_left()
    assert number == signal.SIGKILL or not list(tmp_path.iterdir())


def test_a_harness_ends_with_what_has_started_it(tmp_path, harness):
    shell = harness.start("sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", HARNESS, str(tmp_path))
    shell.wait_for("ready")
    shell.signal(signal.SIGKILL)
    harness.wait_until_nothing_is_left()
    assert not list(tmp_path.iterdir())


def test_under_nohup_it_does_not(tmp_path, harness):
    process = harness.start("nohup", sys.executable, "-c", HARNESS, str(tmp_path))
    assert process.wait_for("ready (.*)")[1] == "0 True"
    process.signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM


@pytest.mark.extra
@pytest.mark.timeout(120)
def test_the_benchmark_of_the_dashboard_leaves_nothing(harness):
    benchmark = harness.start(sys.executable, "-m", "benchmarks.dashboard", "--stores", "redis", "--jobs", "100")
    benchmark.wait_for("redis 1 .*Sample", timeout=60)
    benchmark.signal(signal.SIGKILL)
    benchmark.wait()
    harness.wait_until_nothing_is_left()
