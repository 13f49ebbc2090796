"""Finds child processes and non-daemon threads that are left when a process ends, and ends the processes of pools."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import thread as executor
from contextlib import suppress
from pathlib import Path

from ..threads.frames import frames

#: Helper processes of Python itself, which end with the process that started them.
_PYTHONS_OWN = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")
_TASKS = Path("/proc/self/task")


def left() -> Iterator[str]:
    """Yield descriptions such as ``thread 'feed'`` and ``child process 4711 (ffmpeg)``; arguments may be secret."""
    innermost = frames()
    for thread in threading.enumerate():
        if not (thread.daemon or thread in (threading.main_thread(), threading.current_thread())):
            frame = innermost.get(thread.ident or 0)
            # An executor's thread that waits for work ends with the interpreter.
            if frame is None or frame.f_code.co_filename != executor.__file__:
                yield f"thread {thread.name!r}"
    yield from _children()


def end_pools() -> None:
    """Send SIGTERM to the daemon processes of ``multiprocessing`` and to the processes of executors.

    When Python exits, it ends these processes or lets them finish. After ``os._exit`` they would wait forever.
    """
    with suppress(Exception):  # other threads may start and end processes at this moment
        executors = getattr(sys.modules.get("concurrent.futures.process"), "_threads_wakeups", {})
        of_executors = [child for thread in tuple(executors) for child in tuple(thread.processes.values())]
        for child in [*(child for child in multiprocessing.active_children() if child.daemon), *of_executors]:
            with suppress(Exception):
                child.terminate()


def _children() -> Iterator[str]:
    if not _TASKS.exists():  # not Linux: only processes of multiprocessing are known
        yield from (f"child process {child.pid} ({child.name})" for child in multiprocessing.active_children())
        return
    for task in _TASKS.iterdir():
        with suppress(OSError):  # a thread that has just ended
            for pid in (task / "children").read_text().split():
                yield from _child(Path("/proc") / pid)


def _child(process: Path) -> Iterator[str]:
    with suppress(OSError):  # a process that has just ended
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        command = (process / "cmdline").read_bytes()
        if state != "Z" and not any(own in command for own in _PYTHONS_OWN):
            yield f"child process {process.name} ({(process / 'comm').read_text().strip()})"
