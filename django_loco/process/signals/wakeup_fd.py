"""Passes signals from the operating system to a thread of this process, but not signals of a fork.

Python runs a signal handler in the main thread, between any two instructions. At that moment the main thread may hold
the lock of the event that the handler would set. Python also runs it only when the main thread wakes up, which may not
happen if the system gives the signal to another thread. So the handlers do nothing. A thread reads the bytes that
Python writes to the wakeup descriptor (``signal.set_wakeup_fd``) as soon as a signal arrives.

A fork does not have that thread, and its signals are not meant for the parent process. So a fork must not write to the
parent's socket, and a signal must still end the fork. Therefore a fork gets other handlers and closes the socket. Until
then its signals are blocked, because ``multiprocessing.Pool`` may terminate its processes a moment after it has started
them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

from ...core.threads.wakeup import Wakeup

#: ``read`` returns this at the end. No signal has this number.
END = 0


class WakeupFd(Wakeup):
    """Python's wakeup descriptor: Python writes to it the number of each signal that has a handler."""

    def install(self) -> int:
        """Make Python write to it. Return the previous wakeup descriptor; -1 if there was none."""
        before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return -1 if before == self._write.fileno() else before

    def read(self) -> int:
        """Wait for a signal and return its number; ``END`` after ``end``."""
        return (self._read.recv(1) or [END])[0]

    def end(self) -> None:
        """Make ``read`` return ``END``.

        Closing the socket would not do this, as another process may have a copy of it.
        """
        self.wake(bytes([END]))


#: For each signal with our handler: the handler that a fork gets instead.
_caught: dict[int, Any] = {}
_mask = threading.local()


def note_caught(handlers_of_copies: Mapping[int, Any]) -> None:
    """Record which signals have a handler of this package, and which handlers a fork gets."""
    _caught.update(handlers_of_copies)


def forget_caught(*numbers: int) -> None:
    """Record that these signals no longer have a handler of this package."""
    for number in numbers:
        _caught.pop(number, None)


def _block() -> None:
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, _caught)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)


def _detach() -> None:
    if _caught:
        signal.set_wakeup_fd(-1)
        for number, handler in _caught.items():
            signal.signal(number, handler)
        _caught.clear()
    _unblock()


os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_detach)
