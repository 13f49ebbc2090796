"""Relays signals to a server that owns the process (gunicorn, uvicorn), after the shutdown of components has begun.

Such a server closes its port as soon as it gets SIGTERM. But a shutdown begins with hooks, during which requests are
still accepted. Ctrl-C makes gunicorn drop its requests, but it must shut down in the same order. So signals are held
back from the server, and handed on when the shutdown reaches the server.
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
from ...log.output.bounded import get_bounded_logger
from .wakeup_fd import WakeupFd, note_caught

logger = get_bounded_logger("django_loco.servers")


class SignalRelay:
    """Calls ``on_signal`` in a thread, with the name of each signal, and keeps the signal from the server.

    1. ``install``, in the main thread, replaces the handlers of the server for these signals only.
    2. ``hand_on`` gives a signal to the server after all: its handler is called in the main thread.

    Servers get signals in two ways, and both are covered. One way is a handler. The other is the wakeup descriptor: its
    bytes wake a selector and make asyncio call its handlers. The relay's thread reads these bytes first, so it learns
    about a signal even while the main thread is inside a long call.
    """

    def __init__(self, numbers: Sequence[signal.Signals], on_signal: Callable[[str], None]) -> None:
        self._numbers, self._on_signal = numbers, on_signal
        self._theirs: dict[int, Any] = {}
        self._their_wakeup = -1
        #: Signals that were handed on and have not arrived yet, at the handlers and at the thread.
        self._granted: deque[int] = deque()
        self._expected: Counter[int] = Counter()
        self._wakeup_fd = WakeupFd()
        self._thread = DaemonThread(target=self._run, name="loco-signal-relay")

    def install(self) -> None:
        """Replace the server's handlers. Call it again if the server has restored them."""
        self._their_wakeup = self._wakeup_fd.install()
        for number in self._numbers:
            before = signal.signal(number, self._handle)
            if before != self._handle:
                self._theirs[number] = before
            signal.siginterrupt(number, False)  # system calls of requests must not fail with EINTR
        # Forks get Python's default handlers. With the server's handlers they would survive a signal that should end
        # them.
        note_caught({n: signal.default_int_handler if n == signal.SIGINT else signal.SIG_DFL for n in self._numbers})
        if self._thread.ident is None:
            self._thread.start()

    def hand_on(self, number: signal.Signals) -> None:
        """Give this signal to the server, unless it has restored its own handler and got the signal already."""
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
            number = self._wakeup_fd.read()
            if number in self._numbers and not self._expected[number]:
                self._call_handler(signal.Signals(number).name)
            else:
                self._expected[number] -= number in self._numbers
                self.wake(bytes([number]))

    def wake(self, byte: bytes = b"\0") -> None:
        """Wake the server's selector."""
        if self._their_wakeup >= 0:
            with suppress(OSError):  # full: the server wakes up anyway; or closed: it has ended
                os.write(self._their_wakeup, byte)

    def _call_handler(self, name: str) -> None:
        try:
            self._on_signal(name)
        except Exception:  # the next signal must still arrive
            logger.exception("Handling %s failed", name)
