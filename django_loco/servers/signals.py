"""Signals of the operating system, brought to where they can be dealt with."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType, MappingProxyType
from typing import Any, Self

#: What asks a process to end: the terminal, an operator or process manager, a terminal that was closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: The same signal once more within so many seconds is no second one: ``timeout`` and some process managers send it to
#: a process and then to its whole group. No hand is as quick.
ONE_SIGNAL = 0.1

logger = logging.getLogger(__name__)


class Signals:
    """Calls ``on_signal`` with the name of each signal that asks for the end, in a thread of its own.

    Other signals can be given functions of their own, which are called in that thread, too.

    Python runs a handler in the main thread, between any two of its instructions: also while that thread holds the
    lock of the very event that the handler would set; and only once that thread wakes up, which it need not do when
    the system gives the signal to another thread. So the handlers here do nothing. What counts is the byte that
    Python writes to the wakeup socket as soon as the signal is there; a thread reads it.

    Used as ``with Signals(...):``. Outside of the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(
        self,
        on_signal: Callable[[str], None],
        others: Mapping[signal.Signals, Callable[[], object]] = MappingProxyType({}),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_signal, self._others, self._clock = on_signal, others, clock
        self._before: dict[int, Any] = {}
        self._before_socket = -1
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="loco-signals", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if threading.current_thread() is threading.main_thread():
            self._install()
        return self

    def __exit__(self, *error: object) -> None:
        self.uninstall()
        self._write.close()
        self._thread.join()
        self._read.close()

    def _install(self) -> None:
        self._before_socket = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number in (*ENDING, *self._others):
            # A process started with nohup ignores SIGHUP and is to go on doing so. SIGINT may be ignored only until
            # there is a handler; see ``reload.Parent``.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, _nothing)
        # Whoever started this process may have held signals back until now; see ``child``.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._before)
        _installed.append(self)

    def uninstall(self) -> None:
        """Put back what was there before."""
        if self in _installed:
            _installed.remove(self)
            signal.set_wakeup_fd(self._before_socket)
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _run(self) -> None:
        last, at = b"", 0.0
        while number := self._read.recv(1):
            now = self._clock()
            if number[0] in ENDING and (number != last or now - at > ONE_SIGNAL):
                self._call(number[0], partial(self._on_signal, signal.Signals(number[0]).name))
            if number[0] in ENDING:
                last, at = number, now
            elif number[0] in self._others:
                self._call(number[0], self._others[signal.Signals(number[0])])

    def _call(self, number: int, function: Callable[[], object]) -> None:
        try:
            function()
        except Exception:  # the next signal must arrive all the same
            logger.exception("%s was not dealt with", signal.Signals(number).name)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Be a handler, as Python writes to the wakeup socket only for signals that have one."""


_installed: list[Signals] = []


def _after_fork() -> None:
    """A forked copy (``multiprocessing``) has no such thread, and its signals are not this process's."""
    for signals in tuple(_installed):
        signals.uninstall()


os.register_at_fork(after_in_child=_after_fork)
