"""Calls with a time limit when the system has no more threads."""

from __future__ import annotations

import threading
import time

import pytest

from django_loco.core.threads.bounded_calls import BoundedCall, BoundedCalls


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(BoundedCall, "start", refuse)


@pytest.mark.usefixtures("no_threads")
def test_the_caller_makes_a_call_for_which_there_is_no_thread(caplog):
    made: list[threading.Thread] = []
    calls = BoundedCalls()
    call = calls.start("Finishing", lambda: made.append(threading.current_thread()))
    assert made == [threading.current_thread()]
    assert calls.wait(call, until=time.monotonic)
    assert not call.failed
    assert "Finishing has no time limit" in caplog.text


@pytest.mark.usefixtures("no_threads")
def test_what_such_a_call_raises_is_logged(caplog):
    def broken() -> None:
        raise ValueError("a defect")

    call = BoundedCalls().start("Finishing", broken)
    assert (call.ended, call.failed) == (True, True)
    assert "Finishing failed" in caplog.text
