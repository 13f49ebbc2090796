"""Starts child processes that end with this process, however it ends. Harnesses and benchmarks share this module.

1. ``start`` starts a command in a new process group. The first call also starts a shell, the *watcher*. The watcher
   reads the number of each group from a pipe. Only this process has the other end of the pipe.
2. ``bury`` kills the rest of a group, and makes the watcher drop its number, which other processes may get.
3. If this process ends before that, even by SIGKILL, the pipe breaks, and the watcher kills the groups that are left.

``end_on_signals`` lets a program end in order, so that it also removes its temporary folders.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

WATCHER = """
groups=" "
while read -r sign group; do
    case $sign in
        +) groups="$groups$group " ;;
        -) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""
PR_SET_PDEATHSIG = 1
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_lock = threading.Lock()
_watcher: subprocess.Popen[bytes] | None = None


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a command like ``subprocess.Popen``. End it with ``bury``."""
    child = subprocess.Popen(command, start_new_session=True, **options)
    _tell("+", child)
    return child


def kill(child: subprocess.Popen[Any]) -> None:
    """Kill a child and its own children, as far as they still run. Do not wait."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def bury(child: subprocess.Popen[Any]) -> None:
    """Kill a child and its own children, as far as they still run. Wait for the child's end."""
    kill(child)
    child.wait()
    _tell("-", child)


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """``start`` a command for a ``with`` block, and wait for its end. If the block raises, ``bury`` it at once."""
    child = start(command, **options)
    try:
        yield child
        with child:  # closes its pipes, and waits
            pass
    finally:
        bury(child)


def end_on_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise ``SystemExit``, so that context managers clean up.

    On Linux, the end of the parent process, such as ``make``, counts as SIGTERM. A program that ignores SIGHUP, as
    under ``nohup``, keeps running in both cases.
    """
    is_detached = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in END_SIGNALS:
        if not (is_detached and number == signal.SIGHUP):
            signal.signal(number, _end)
    if sys.platform == "linux" and not is_detached:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _tell(sign: str, child: subprocess.Popen[Any]) -> None:
    global _watcher
    with _lock:
        if _watcher is None:
            _watcher = subprocess.Popen(["sh", "-c", WATCHER], stdin=subprocess.PIPE, cwd="/", start_new_session=True)
            atexit.register(_watcher.communicate)
        assert _watcher.stdin is not None
        _watcher.stdin.write(f"{sign} {child.pid}\n".encode())
        _watcher.stdin.flush()
