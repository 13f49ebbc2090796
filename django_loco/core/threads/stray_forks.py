"""Ends forks of this process where code of the project returns to ours.

``os.fork`` in a job, a receiver or a component copies the process with the calling thread only. If that code returns
or raises in the copy, our code around it would go on there as a second worker: it would report and announce the job
once more, use the connections of the original, and wait for ever for threads that the copy does not have.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from contextlib import suppress
from types import TracebackType
from typing import NoReturn

from . import DaemonThread

_forks = 0


def _count() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count)


def forks() -> int:
    """Return a number that each fork of this process changes. Reading it is cheaper than ``os.getpid``."""
    return _forks


def is_own_thread() -> bool:
    """Whether the calling thread belongs to django-loco, so that no other code continues in a fork of it."""
    return isinstance(threading.current_thread(), DaemonThread)


class ForksEndHere:
    """A ``with`` block around code of the project. A fork that was made in the block ends when it leaves the block."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _forks

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before != _forks:
            end_fork(error)


def end_fork(error: BaseException | None = None) -> NoReturn:
    """End this process as ``multiprocessing`` ends its own: without the ``atexit`` functions of the original.

    ``error`` is printed, except ``SystemExit``, which has the exit code.
    """
    code = 1
    try:
        code = _exit_code(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # it may be closed, or None
                stream.flush()
    finally:
        os._exit(code)


def _exit_code(error: BaseException | None) -> int:
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)  # noqa: T201 - as Python does at the end of a process
    return 1
