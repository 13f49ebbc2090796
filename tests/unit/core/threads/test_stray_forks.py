"""Forks end where code of the project returns to ours."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from django_loco.component import Loop
from django_loco.core.threads import DaemonThread
from django_loco.core.threads.bounded_calls import BoundedCalls
from django_loco.core.threads.stray_forks import ForksEndHere, forks, is_own_thread

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit(7)


def code_of_fork_that(ends: Callable[[], Any]) -> int:
    """The exit code of a fork that leaves the block by ``ends``; 99: it goes on behind the block."""
    pid = 1
    try:
        with ForksEndHere():
            pid = os.fork()
            if not pid:
                signal.alarm(20)
                ends()
    finally:
        if not pid:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (lambda: None, 0),
        (sys.exit, 0),
        (lambda: sys.exit(3), 3),
        (lambda: sys.exit(-1), 255),
        (lambda: sys.exit(True), 1),
        (lambda: sys.exit("why"), 1),
        (lambda: fail(ValueError("in the fork")), 1),
        (lambda: fail(Unprintable()), 1),
        (lambda: fail(KeyboardInterrupt()), 1),
        (lambda: os._exit(5), 5),
    ],
)
def test_a_fork_ends_as_a_process_does(ends, code):
    assert code_of_fork_that(ends) == code


def test_the_original_goes_on_and_raises_what_it_raises():
    with pytest.raises(LookupError), ForksEndHere():
        raise LookupError
    before = forks()
    assert code_of_fork_that(lambda: os._exit(forks() - before)) == 1
    assert forks() == before


def test_a_traceback_is_printed(capfd):
    assert code_of_fork_that(lambda: fail(ValueError("in the fork"))) == 1
    assert "ValueError: in the fork" in capfd.readouterr().err


def test_a_text_of_sys_exit_is_printed(capfd):
    assert code_of_fork_that(lambda: sys.exit("no more paper")) == 1
    assert "no more paper" in capfd.readouterr().err


def test_a_fork_without_streams_ends(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert code_of_fork_that(lambda: None) == 0


def test_only_our_threads_are_our_own():
    seen: list[bool] = []
    thread = DaemonThread(target=lambda: seen.append(is_own_thread()))
    thread.start()
    thread.join(10)
    assert seen == [True]
    assert not is_own_thread()


class Forking(Loop):
    """A component that forks once in the method ``name``, and notes the exit code of the fork."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.codes: list[int] = []
        self._name = name

    def fork_in(self, name: str) -> None:
        if name != self._name:
            return
        if not (pid := os.fork()):
            signal.alarm(20)
            sys.exit(3)
        self.codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        self._name = ""

    def open(self) -> None:
        self.fork_in("open")

    def turn(self) -> None:
        self.fork_in("turn")
        self._thread.end()

    def close(self) -> None:
        self.fork_in("close")


@pytest.mark.parametrize("name", ["open", "turn", "close"])
def test_a_fork_of_a_component_ends(name):
    component = Forking(name)
    component.start()
    assert component.join(20)
    assert component.codes == [3]


def test_a_fork_of_a_shutdown_hook_ends():
    component, calls = Forking("hook"), BoundedCalls()

    async def hook() -> None:
        component.fork_in("hook")

    call = calls.start("the hook", hook)
    call.join(20)
    assert component.codes == [3]
