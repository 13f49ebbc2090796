"""The thread that calls receivers outside of jobs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from django_loco.core.threads import DaemonThread
from django_loco.worker.execution import announcer as module
from django_loco.worker.execution.announcer import Announcer

from ..support import wait_until


@pytest.fixture
def announcer() -> Announcer:
    return Announcer(0.05)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    release = threading.Event()
    yield release
    release.set()


def is_idle(announcer: Announcer) -> bool:
    return announcer._thread is None


def hang(release: threading.Event) -> None:
    release.wait(20)


def test_the_caller_waits_and_gets_the_error():
    announcer, heard = Announcer(), []
    announcer.call(lambda: heard.append(threading.current_thread().name))
    assert heard == ["loco-worker-announcer"]
    for error in (SystemExit, TimeoutError):
        with pytest.raises(error):
            announcer.call(lambda error=error: (_ for _ in ()).throw(error))
    wait_until(lambda: is_idle(announcer))
    assert announcer.trouble == ""


def test_nobody_waits_for_one_that_hangs(announcer, release, caplog):
    heard: list[str] = []
    announcer.call(lambda: hang(release))
    assert "A receiver of a signal has not returned for 0 s; other signals wait for it" in caplog.text
    assert "in hang" in caplog.text
    assert announcer.trouble
    announcer._wait = 20
    announcer.call(lambda: heard.append("later"))
    announcer.call(lambda: 1 / 0)
    assert heard == []
    release.set()
    wait_until(lambda: is_idle(announcer))
    assert heard == ["later"]
    assert announcer.trouble == ""
    assert caplog.text.count("has not returned") == 1


def test_an_error_for_which_nobody_waits_is_logged(announcer, release, caplog):
    def hang_and_fail() -> None:
        hang(release)
        raise ValueError("boom")

    announcer.call(hang_and_fail)
    release.set()
    wait_until(lambda: is_idle(announcer))
    assert "A signal could not be sent" in caplog.text


def test_without_a_thread_the_caller_makes_the_call(announcer, monkeypatch):
    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    heard: list[str] = []
    monkeypatch.setattr(DaemonThread, "start", refuse)
    announcer.call(lambda: heard.append(threading.current_thread().name))
    assert heard == [threading.current_thread().name]
    assert is_idle(announcer)


def test_a_fork_has_an_announcer_of_its_own(monkeypatch):
    before = module._announcer
    monkeypatch.setattr(module, "_announcer", before)
    module._after_fork()
    assert module._announcer is not before
