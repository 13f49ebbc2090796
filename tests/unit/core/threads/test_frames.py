"""Looks at frames of other threads, and the garbage collector meanwhile."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest

from django_loco.core.threads import DaemonThread
from django_loco.core.threads.frames import CollectorPause, exception_of, frames, safe_look

OLD = sys.version_info < (3, 12)


#: The collector runs after every few objects, and lets other threads run each time. They start threads meanwhile.
EAGER = """
import gc, sys, threading
from django_loco.core.threads import frames, stacks

def collect(_phase, _info):
    for _ in range(300):
        pass

def work():
    while not end.is_set():
        threading.Thread(target=int).start()

def follow(ident):
    with frames.safe_look():
        frame = frames.frames().get(ident)
        while frame is not None:
            frame = frame.f_back

end = threading.Event()
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
gc.freeze()
gc.callbacks.append(collect)
gc.set_threshold(3, 1000, 100)
sys.setswitchinterval(1e-6)
for _ in range(100):
    for thread in threads:
        LOOK(thread.ident)
end.set()
"""


@pytest.mark.slow
@pytest.mark.parametrize("look", ["follow", "stacks.stack_of_thread", "frames.exception_of"])
def test_other_threads_go_on_meanwhile(look: str):
    subprocess.run([sys.executable, "-c", EAGER.replace("LOOK", look)], check=True, timeout=30)


@pytest.mark.skipif(not OLD, reason="newer versions collect between bytecodes only")
def test_the_collector_is_paused_meanwhile():
    with safe_look():
        assert not gc.isenabled()
        frames()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_the_project_turned_off_stays_off():
    gc.disable()
    try:
        with CollectorPause().hold():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_runs_after_an_error():
    with pytest.raises(ZeroDivisionError), CollectorPause().hold():
        _ = 1 / 0
    assert gc.isenabled()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_copy_that_is_forked_in_a_pause_collects_and_may_pause():
    pause, begun, end = CollectorPause(), threading.Event(), threading.Event()

    def other() -> None:
        with pause.hold():
            begun.set()
            end.wait(10)

    thread = DaemonThread(target=other)
    thread.start()
    assert begun.wait(10)
    pid = os.fork()
    if not pid:
        code = 0 if gc.isenabled() else 1
        with pause.hold():
            code += 2 if gc.isenabled() else 0
        os._exit(code)
    end.set()
    thread.join(10)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert gc.isenabled()


def test_the_exception_that_a_thread_handles_is_found():
    begun, end = threading.Event(), threading.Event()

    def fail() -> None:
        try:
            raise LookupError("this one")
        except LookupError:
            begun.set()
            end.wait(10)

    thread = DaemonThread(target=fail)
    thread.start()
    assert begun.wait(10)
    assert str(exception_of(thread.ident)) == "this one"
    end.set()
    thread.join(10)
    assert exception_of(thread.ident) is None
