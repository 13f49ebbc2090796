"""Signals reach their thread whatever the main thread does, and are no concern of forked copies."""

from __future__ import annotations

import os
import queue
import signal
import threading

import pytest

from django_loco.process.signals import handlers
from django_loco.process.signals.handlers import STOP_SIGNALS, SignalHandlers

SECONDS = 10.0


@pytest.fixture
def arrived():
    return queue.SimpleQueue()


def test_each_signal_is_told_by_name_in_another_thread(arrived):
    with SignalHandlers(lambda name: arrived.put((name, threading.current_thread()))):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
            name, thread = arrived.get(timeout=SECONDS)
            assert name == number.name
            assert thread is not threading.main_thread()


def test_a_signal_arrives_while_the_main_thread_holds_every_lock_it_likes(arrived):
    lock = threading.Lock()
    with SignalHandlers(arrived.put), lock:
        os.kill(os.getpid(), signal.SIGTERM)
        assert arrived.get(timeout=SECONDS) == "SIGTERM"


def test_a_signal_that_the_system_gives_to_another_thread_arrives(arrived):
    go_on = threading.Event()
    with SignalHandlers(arrived.put):
        thread = threading.Thread(target=go_on.wait, args=(SECONDS,))
        thread.start()
        assert thread.ident
        signal.pthread_kill(thread.ident, signal.SIGTERM)
        assert arrived.get(timeout=SECONDS) == "SIGTERM"
        go_on.set()
        thread.join()


def test_other_signals_are_not_told(arrived):
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    with SignalHandlers(arrived.put):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert arrived.get(timeout=SECONDS) == "SIGTERM"
    signal.signal(signal.SIGUSR1, before)


def test_what_fails_for_one_signal_does_not_keep_the_next_one_from_arriving(arrived, caplog):
    def on_signal(name: str) -> None:
        arrived.put(name)
        raise ValueError("no")

    with SignalHandlers(on_signal):
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            assert arrived.get(timeout=SECONDS) == number.name
    assert "Handling SIGTERM failed" in caplog.text


def test_a_signal_sent_to_the_process_and_its_group_is_one(arrived):
    now = [100.0]
    with SignalHandlers(arrived.put, clock=lambda: now[0]):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            wait_for_handler()
        assert [arrived.get(timeout=SECONDS) for _ in range(2)] == ["SIGTERM", "SIGINT"]
        now[0] += 1
        os.kill(os.getpid(), signal.SIGINT)
        assert arrived.get(timeout=SECONDS) == "SIGINT"


def wait_for_handler() -> None:
    """Let Python run the handlers of what has arrived: two signals at one moment are one to the system."""
    threading.Event().wait(0.01)


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with SignalHandlers(lambda _: None):
        assert [signal.getsignal(number) for number in STOP_SIGNALS] != before
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_process_under_nohup_goes_on_ignoring_sighup(arrived):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with SignalHandlers(arrived.put):
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    signal.signal(signal.SIGHUP, before)


def test_outside_of_the_main_thread_it_does_nothing():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def run() -> None:
        with SignalHandlers(lambda _: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(SECONDS)
    assert seen == [before]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_copy_has_its_own_signals(arrived):
    with SignalHandlers(arrived.put):
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        os.kill(os.getpid(), signal.SIGINT)
        assert arrived.get(timeout=SECONDS) == "SIGINT"


def test_further_signals_have_functions_of_their_own(arrived):
    others = {signal.SIGUSR1: lambda: arrived.put("other"), signal.SIGCHLD: lambda: arrived.put("child")}
    with SignalHandlers(arrived.put, others):
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD):
            os.kill(os.getpid(), number)
            assert arrived.get(timeout=SECONDS) in ("other", number.name, "child")
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_a_signal_between_does_not_make_one_signal_two(arrived):
    with SignalHandlers(arrived.put, {signal.SIGCHLD: lambda: arrived.put("child")}, clock=lambda: 100.0):
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            wait_for_handler()
        assert [arrived.get(timeout=SECONDS) for _ in range(3)] == ["SIGTERM", "child", "SIGINT"]


def test_signals_that_were_held_back_until_now_arrive(arrived):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # other threads of this process do not hold it back
    with SignalHandlers(arrived.put):
        assert arrived.get(timeout=SECONDS) == "SIGINT"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_its_end_waits_for_no_forked_copy(arrived):
    with SignalHandlers(arrived.put):
        child = os.fork()
        if child == 0:
            threading.Event().wait()
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_signal_for_a_copy_that_is_just_being_forked_is_the_copys(arrived):
    """As ``multiprocessing.Pool`` sends it; from another thread, as a job is run in."""
    codes = []

    def fork() -> None:
        for _ in range(100):
            child = os.fork()
            if child == 0:
                threading.Event().wait()
            os.kill(child, signal.SIGTERM)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    with SignalHandlers(arrived.put):
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        os.kill(os.getpid(), signal.SIGINT)
        assert arrived.get(timeout=SECONDS) == "SIGINT"
    assert codes == [-signal.SIGTERM] * 100


def test_the_last_ones_of_a_process_leave_signals_ignored():
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    with SignalHandlers(lambda _: None, is_last=True):
        pass
    after = [signal.getsignal(number) for number in STOP_SIGNALS]
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == [signal.SIG_IGN] * len(STOP_SIGNALS)


def test_what_hangs_does_not_keep_it_from_its_end(arrived, monkeypatch):
    monkeypatch.setattr(handlers, "JOIN_SECONDS", 0.05)
    go_on = threading.Event()

    def hang(name: str) -> None:
        arrived.put(name)
        go_on.wait(SECONDS)

    with SignalHandlers(hang):
        os.kill(os.getpid(), signal.SIGTERM)
        arrived.get(timeout=SECONDS)
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "loco-signals":
            thread.join(SECONDS)
