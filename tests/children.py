"""Starts child processes that do not outlive this one, however it ends; the harnesses and the benchmarks share it.

1. ``start`` starts a command in a process group of its own. The first one also starts a shell, the *watcher*, which
   reads from a pipe whose other end only this process has, and learns the number of each group.
2. ``bury`` kills what is left of a group, and lets the watcher forget it: others may get its number.
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
    """Start a command as ``subprocess.Popen`` does; end it with ``bury``."""
    child = subprocess.Popen(command, start_new_session=True, **options)
    _tell("+", child)
    return child


def kill(child: subprocess.Popen[Any]) -> None:
    """Kill what is left of a child and of its own children, and do not wait."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def bury(child: subprocess.Popen[Any]) -> None:
    """Kill what is left of a child and of its own children, and wait for its end."""
    kill(child)
    child.wait()
    _tell("-", child)


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """``start`` a command for a ``with`` block, and wait for its end; if the block raises, ``bury`` it at once."""
    child = start(command, **options)
    try:
        yield child
        with child:  # closes its pipes, and waits
            pass
    finally:
        bury(child)


def end_on_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise ``SystemExit``, so that context managers clean up.

    On Linux, the end of the process that has started this one counts as SIGTERM, such as that of ``make``. A program
    that ignores SIGHUP, as under ``nohup``, goes on in both cases.
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
