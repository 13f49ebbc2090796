"""Receivers of task signals: each is called, whatever the others raise."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

import pytest
from django.dispatch import Signal

from django_loco.backend import LocoBackend
from django_loco.core.compat import task_finished
from django_loco.core.job import FAILED, Job, error_of, utcnow
from django_loco.core.threads import DaemonThread
from django_loco.exceptions import RAISED_INTO_JOBS, JobCancelled
from django_loco.tasks.signals import announce, announce_end
from tests.app.tasks import add

RESULT: Any = object()
ENDED = Job(
    task_path=add.module_path,
    backend="default",
    status=FAILED,
    finished_at=utcnow(),
    errors=(error_of(JobCancelled, "cancelled"),),
)


class Sender:
    """One of two."""


class OtherSender:
    """The other one."""


@pytest.fixture
def called() -> list[str]:
    return []


@pytest.fixture
def signal(called: list[str]) -> Signal:
    """A signal with receivers that note that they were called; the second one raises ``SystemExit``."""
    signal = Signal()

    def first(**kwargs: Any) -> None:
        called.append("first")

    def leaving(**kwargs: Any) -> None:
        called.append("leaving")
        raise SystemExit

    async def third(**kwargs: Any) -> None:
        await asyncio.sleep(0)
        called.append("third")

    def of_the_other(**kwargs: Any) -> None:
        called.append("of the other")

    for receiver in (first, leaving, third):
        signal.connect(receiver, weak=False)
    signal.connect(of_the_other, sender=OtherSender, weak=False)
    return signal


def test_each_receiver_gets_the_signal_itself():
    signal, got = Signal(), []

    def first(signal: Signal, **kwargs: Any) -> None:
        got.append(signal)

    async def second(signal: Signal, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        got.append(signal)

    for receiver in (first, second):
        signal.connect(receiver)
    announce(signal, Sender, RESULT)
    assert got == [signal, signal]


def test_each_receiver_is_called(signal, called, caplog):
    announce(signal, Sender, RESULT)
    assert called == ["first", "leaving", "third"]
    assert caplog.text.count("A receiver of a signal raised") == 1


def test_a_receiver_of_one_sender_hears_of_that_one(signal, called):
    announce(signal, OtherSender, RESULT)
    assert called == ["first", "leaving", "third", "of the other"]


def test_a_receiver_that_is_gone_is_not_called(called):
    signal = Signal()

    class Receiver:
        def receive(self, **kwargs: Any) -> None:
            called.append("gone")

    receivers = [Receiver(), Receiver()]
    for one in receivers:
        signal.connect(one.receive)
    del one
    receivers.pop()
    announce(signal, Sender, RESULT)
    assert called == ["gone"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, *RAISED_INTO_JOBS])
def test_what_is_not_meant_for_receivers_comes_through(kind):
    class Interrupted(Signal):
        def send_robust(self, sender: Any, **named: Any) -> Any:
            raise kind

    signal = Interrupted()
    signal.connect(lambda **kwargs: None, weak=False)
    with pytest.raises(kind):
        announce(signal, Sender, RESULT)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_of_a_thread_of_ours_ends_with_the_receiver():
    signal, codes = Signal(), []

    def forking(**kwargs: Any) -> None:
        if pid := os.fork():
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            return
        raise SystemExit(4)

    def next_one(**kwargs: Any) -> None:
        codes.append(0)

    signal.connect(forking)
    signal.connect(next_one)
    thread = DaemonThread(target=announce, args=(signal, Sender, RESULT))
    thread.start()
    thread.join(20)
    assert codes == [4, 0]


def test_a_keyboard_interrupt_is_meant_for_others_in_the_main_thread_only():
    signal, called = Signal(), []

    def interrupted(**kwargs: Any) -> None:
        called.append("interrupted")
        raise KeyboardInterrupt

    def after(**kwargs: Any) -> None:
        called.append("after")

    signal.connect(interrupted)
    signal.connect(after)
    with pytest.raises(KeyboardInterrupt):
        announce(signal, Sender, RESULT)
    assert called == ["interrupted"]
    thread = DaemonThread(target=announce, args=(signal, Sender, RESULT))
    thread.start()
    thread.join(20)
    assert called == ["interrupted", "interrupted", "after"]


@pytest.fixture
def heard():
    """The results with which ``task_finished`` was sent."""
    results = []

    def receive(sender, task_result, **kwargs):
        results.append((sender, task_result))

    task_finished.connect(receive)
    yield results
    task_finished.disconnect(receive)


def test_ends_are_announced(heard, caplog):
    announce_end(LocoBackend, [ENDED])
    [(sender, result)] = heard
    assert (sender, result.id, result.status) == (LocoBackend, ENDED.id, FAILED)
    assert caplog.records == []


def test_the_end_of_a_job_that_cannot_be_read_is_announced(heard):
    announce_end(LocoBackend, [replace(ENDED, arguments="broken")])
    assert len(heard) == 1


def test_a_receiver_that_raises_stops_nothing(heard, caplog):
    def receive(**kwargs):
        raise ValueError("on purpose")

    task_finished.connect(receive)
    try:
        announce_end(LocoBackend, [ENDED, ENDED])
    finally:
        task_finished.disconnect(receive)
    assert len(heard) == 2


def test_without_receivers_no_result_is_made(monkeypatch):
    monkeypatch.setattr("django_loco.tasks.signals.shown_result_of", None)
    announce_end(LocoBackend, [ENDED])
