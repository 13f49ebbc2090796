"""How a signal of the operating system gets to a thread of ours, and to none of a forked copy.

Python runs a handler in the main thread, between any two of its instructions: also while that thread holds the lock of
the very event that the handler would set; and only once that thread wakes up, which it need not do when the system
gives the signal to another thread. What counts here is the byte that Python writes to the wakeup socket as soon as the
signal is there. A thread reads it.

A forked copy has no such thread, and its signals are not this process's: it must not write to our socket, and a signal
that ends a process must end it. So it gets other handlers, and closes the socket. Until it has done so its signals are
held back: ``multiprocessing.Pool`` may terminate its processes a moment after it has started them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

from ...core.wakeup import Wakeup

#: What the reader is told when there is nothing more to read; no signal has this number.
END = 0


class SignalPipe(Wakeup):
    """A socket to which Python writes the number of each signal that has a handler."""

    def install(self) -> int:
        """Have Python write to it; return the descriptor to which it wrote before, -1 if there was none."""
        before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return -1 if before == self._write.fileno() else before

    def read(self) -> int:
        """Wait for a signal and return its number; ``END`` after ``end``."""
        return (self._read.recv(1) or [END])[0]

    def end(self) -> None:
        """Let ``read`` return ``END``. Closing the socket does not: another process may hold a copy of it."""
        self.wake(bytes([END]))


#: The handlers that are installed here, by the number of the signal, and what a forked copy has instead.
_caught: dict[int, Any] = {}
_mask = threading.local()


def catch(handlers_of_copies: Mapping[int, Any]) -> None:
    """Note for which signals there are handlers now, and which ones a forked copy is to have."""
    _caught.update(handlers_of_copies)


def release(*numbers: int) -> None:
    """Note that there are no such handlers any more."""
    for number in numbers:
        _caught.pop(number, None)


def default(number: int) -> Any:
    """Return the handler that Python gives a signal at its start."""
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def _hold_back() -> None:
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, _caught)


def _let_in() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)


def _detach() -> None:
    if _caught:
        signal.set_wakeup_fd(-1)
        for number, handler in _caught.items():
            signal.signal(number, handler)
        _caught.clear()
    _let_in()


os.register_at_fork(before=_hold_back, after_in_parent=_let_in, after_in_child=_detach)
