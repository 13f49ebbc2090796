"""Signals of the operating system, brought to where they can be dealt with."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType, MappingProxyType
from typing import Any, Self

from ...core.threads import DaemonThread
from ...log.bounded import get_bounded_logger
from .escalation import Escalation
from .pipe import END, SignalPipe, catch, release

#: What asks a process to end: the terminal, an operator or process manager, a terminal that was closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds that what a signal has set going may still take at the end.
PATIENCE = 1.0

logger = get_bounded_logger("django_loco.servers")


class SignalListener:
    """Calls ``on_signal`` with the name of each signal that asks for the end, in a thread of its own.

    Other signals can be given functions of their own, which are called in that thread, too. The handlers that Python
    runs do nothing; see ``wakeup`` for what does.

    Used as ``with SignalListener(...):``. Outside of the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(
        self,
        on_signal: Callable[[str], None],
        others: Mapping[signal.Signals, Callable[[], object]] = MappingProxyType({}),
        *,
        is_last: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``is_last``: the process ends after this. Then signals are ignored at the end, rather than given back.

        A signal that came again in the last moments, to one that has just ended in good order, would else kill it.
        """
        self._on_signal, self._others, self._is_last = on_signal, others, is_last
        self._escalation = Escalation(clock)
        self._before: dict[int, Any] = {}
        self._before_socket = -1
        self._pipe = SignalPipe()
        self._thread = DaemonThread(target=self._run, name="loco-signals")

    def __enter__(self) -> Self:
        self._thread.start()
        if threading.current_thread() is threading.main_thread():
            self._install()
        return self

    def __exit__(self, *error: object) -> None:
        self._uninstall()
        self._pipe.end()
        self._thread.join(PATIENCE)

    def _install(self) -> None:
        self._before_socket = self._pipe.install()
        for number in (*ENDING, *self._others):
            # A process started with nohup ignores SIGHUP and is to go on doing so.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.getsignal(number) or signal.SIG_DFL
                catch({number: self._before[number]})
                signal.signal(number, _nothing)
        # Whoever started this process may have held signals back until now; see ``child``.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._before)

    def _uninstall(self) -> None:
        """Put back what was there before, if something comes after this."""
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._is_last else handler)
        signal.set_wakeup_fd(self._before_socket)
        release(*self._before)

    def _run(self) -> None:
        while (number := self._pipe.read()) != END:
            if number in ENDING:
                name = signal.Signals(number).name
                if self._escalation.hear(name):
                    self._call(number, partial(self._on_signal, name))
            elif number in self._others:
                self._call(number, self._others[signal.Signals(number)])
        self._pipe.close()

    def _call(self, number: int, function: Callable[[], object]) -> None:
        try:
            function()
        except Exception:  # the next signal must arrive all the same
            logger.exception("Handling %s failed", signal.Signals(number).name)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Be a handler, as Python writes to the wakeup socket only for signals that have one."""
