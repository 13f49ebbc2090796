"""Stands between the signals that ask for the end and a server that the process belongs to.

A server closes its port the moment it gets SIGTERM. The order of a shutdown begins earlier, with hooks during which
requests are still accepted; and Ctrl-C, by which gunicorn cuts off its requests, is to end in that order like any
other signal. So signals are held back here and handed on when it is the server's turn.
"""

from __future__ import annotations

import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from ...core.threads import DaemonThread
from ...log.bounded import get_bounded_logger
from .pipe import SignalPipe, catch, default

logger = get_bounded_logger("django_loco.servers")


class SignalRelay:
    """Calls ``on_signal`` with the name of each signal, in a thread of its own, and keeps it from the server.

    1. ``install``, in the main thread once the server has its handlers, replaces these. Other signals pass.
    2. ``hand_on`` lets the server have a signal after all: its own handler is called, in the main thread.

    Both ways in which servers get signals are covered: handlers, and the bytes of the wakeup file descriptor, by which
    a selector wakes up and asyncio calls its handlers. Our thread reads those bytes first: it learns of a signal also
    while the main thread is inside a long call.
    """

    def __init__(self, numbers: Sequence[signal.Signals], on_signal: Callable[[str], None]) -> None:
        self._numbers, self._on_signal = numbers, on_signal
        self._theirs: dict[int, Any] = {}
        self._their_wakeup = -1
        #: What was handed on and has not come back yet: to the handlers, to the thread.
        self._granted: deque[int] = deque()
        self._expected: Counter[int] = Counter()
        self._pipe = SignalPipe()
        self._thread = DaemonThread(target=self._run, name="loco-signal-relay")

    def install(self) -> None:
        """Take the place of the server's handlers; once more after it has put back those it found."""
        self._their_wakeup = self._pipe.install()
        for number in self._numbers:
            before = signal.signal(number, self._handle)
            if before != self._handle:
                self._theirs[number] = before
            signal.siginterrupt(number, False)  # what a request waits for is not to fail with EINTR
        # Not the server's handlers, which would keep a copy alive that is told to end.
        catch({number: default(number) for number in self._numbers})
        if self._thread.ident is None:
            self._thread.start()

    def hand_on(self, number: signal.Signals) -> None:
        """Let the server have this signal, unless it has taken back its handler and so has had it already."""
        if signal.getsignal(number) != self._handle:
            return
        self._granted.append(number)
        self._expected[number] += 1
        os.kill(os.getpid(), number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number in self._granted:
            self._granted.remove(number)
            handler = self._theirs[number]
            if callable(handler):
                handler(number, frame)

    def _run(self) -> None:
        while True:
            number = self._pipe.read()
            if number in self._numbers and not self._expected[number]:
                self._tell(signal.Signals(number).name)
            else:
                self._expected[number] -= number in self._numbers
                self.wake(bytes([number]))

    def wake(self, byte: bytes = b"\0") -> None:
        """Wake the server's selector."""
        if self._their_wakeup >= 0:
            with suppress(OSError):  # it is full, and so wakes up; or closed, by a server that has ended
                os.write(self._their_wakeup, byte)

    def _tell(self, name: str) -> None:
        try:
            self._on_signal(name)
        except Exception:  # the next signal must arrive all the same
            logger.exception("Handling %s failed", name)
