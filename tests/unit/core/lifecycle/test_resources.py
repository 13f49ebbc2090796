"""Tracked resources: how each kind is closed, and when."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from django_loco import shutdown
from django_loco.core.lifecycle import resources
from django_loco.shutdown import CLEAN, FORCED, Shutdown

SECONDS = 10.0


@pytest.fixture(autouse=True)
def nothing_tracked(monkeypatch):
    monkeypatch.setattr(resources, "_tracked", [])
    monkeypatch.setattr(shutdown, "_stopping", threading.Event())


class Thing:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def terminate(self) -> None:
        self.calls.append("terminate")

    def let_go(self) -> None:
        self.calls.append("let_go")


class Closable(Thing):
    def close(self) -> None:
        self.calls.append("close")


class AsyncClosable(Thing):
    async def close(self) -> None:
        self.calls.append("close")


def end() -> int:
    return Shutdown(SECONDS).run()


@pytest.mark.parametrize(
    ("thing", "close", "called"),
    [
        (Thing(), None, "terminate"),
        (Closable(), None, "close"),
        (AsyncClosable(), None, "close"),
        (Closable(), "let_go", "let_go"),
    ],
)
def test_how_it_is_closed(thing, close, called):
    assert shutdown.track(thing, close) is thing
    assert end() == CLEAN
    assert thing.calls == [called]


def test_one_that_cannot_be_shown_does_not_end_the_shutdown(caplog):
    class Shy(Closable):
        def close(self) -> None:
            super().close()
            raise OSError

        def __repr__(self) -> str:
            raise RuntimeError("not connected")

    things = [shutdown.track(Closable()), shutdown.track(Shy())]
    assert end() == CLEAN
    assert [thing.calls for thing in things] == [["close"]] * 2
    assert "Shy, of which repr() raises RuntimeError> failed" in caplog.text


def test_it_is_closed_by_a_function():
    thing = shutdown.track(Thing(), close=lambda: thing.calls.append("mine"))
    end()
    assert thing.calls == ["mine"]


@pytest.mark.parametrize(("close", "wanted"), [(None, r"close\(\) or terminate\(\)"), ("let_go", r"let_go\(\)")])
def test_what_cannot_be_closed_is_refused_at_once(close, wanted):
    with pytest.raises(TypeError, match=wanted):
        shutdown.track(object(), close)


def test_it_is_closed_once():
    thing = shutdown.track(Closable())
    end()
    end()
    assert thing.calls == ["close"]


def test_what_is_no_longer_tracked_is_left_alone():
    thing = shutdown.track(Closable())
    shutdown.untrack(thing)
    shutdown.untrack(thing)
    end()
    assert thing.calls == []


def test_with_statement_closes_and_forgets():
    with shutdown.tracked(Closable()) as thing:
        assert thing.calls == []
    assert thing.calls == ["close"]
    end()
    assert thing.calls == ["close"]


def test_with_statement_leaves_alone_what_the_shutdown_has_closed():
    with shutdown.tracked(Closable()) as thing:
        end()
        assert thing.calls == ["close"]
    assert thing.calls == ["close"]


def test_one_that_raises_does_not_keep_the_next_one_open(caplog):
    def fail() -> None:
        raise OSError("cannot be closed")

    thing = shutdown.track(Closable())
    shutdown.track(object(), fail)
    end()
    assert thing.calls == ["close"]
    assert "cannot be closed" in caplog.text


def test_one_that_never_closes_is_left_behind(monkeypatch):
    monkeypatch.setattr(shutdown, "CLOSE_SECONDS", 0.01)
    never = threading.Event()
    thing = shutdown.track(Closable())
    shutdown.track(object(), lambda: never.wait(SECONDS))
    assert end() == FORCED
    assert thing.calls == ["close"]
    never.set()


def child(code: str) -> subprocess.Popen[bytes]:
    popen = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert popen.stdout is not None
    assert popen.stdout.readline() == b"ready\n"
    popen.stdout.close()
    return popen


def test_a_child_process_is_terminated():
    popen = shutdown.track(child("import time; print('ready', flush=True); time.sleep(60)"))
    assert end() == CLEAN
    assert popen.returncode == -15


def test_a_child_process_that_ignores_it_is_killed(monkeypatch):
    monkeypatch.setattr(resources, "KILL_AFTER_SECONDS", 0.05)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    popen = shutdown.track(child(code))
    assert end() == CLEAN
    assert popen.returncode == -9


def test_a_child_process_that_there_is_no_time_for_is_killed(monkeypatch):
    monkeypatch.setattr(shutdown, "CLOSE_SECONDS", 0.05)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    popen = shutdown.track(child(code))
    assert end() == FORCED
    assert popen.wait(SECONDS) == -9


@pytest.mark.slow
@pytest.mark.parametrize("ignores", [False, True])
def test_a_process_of_multiprocessing_is_terminated_or_killed(monkeypatch, ignores):
    monkeypatch.setattr(resources, "KILL_AFTER_SECONDS", 0.05 if ignores else SECONDS)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=wait, args=[ready, ignores])
    process.start()
    assert ready.wait(5 * SECONDS)  # it imports all that this process has imported
    shutdown.track(process)
    assert end() == CLEAN
    assert process.exitcode == (-9 if ignores else -15)


def wait(ready: Any, ignores: bool) -> None:
    if ignores:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.set()
    time.sleep(60)


def test_what_could_not_be_closed_is_named_at_the_end(caplog):
    def fail() -> None:
        raise OSError("cannot be closed")

    shutdown.track("the stream", fail)
    shutdown.track("the file", lambda: None)
    end()
    (line,) = [record.getMessage() for record in caplog.records if "Still open at exit" in record.getMessage()]
    assert "'the stream'" in line
    assert "'the file'" not in line


def test_resources_are_closed_last_in_first_out():
    closed = []
    for name in ("connection", "file", "child"):
        shutdown.track(name, lambda name=name: closed.append(name))
    end()
    assert closed == ["child", "file", "connection"]
