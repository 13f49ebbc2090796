"""Handles the signals of a process that this package owns: calls a function, in a thread, for each signal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType, MappingProxyType
from typing import Any, Self

from ...core.threads import DaemonThread
from ...log.output.bounded import get_bounded_logger
from .escalation import Escalation
from .wakeup_fd import END, WakeupFd, forget_caught, note_caught

#: Signals that stop a process: Ctrl-C, an operator or process manager, a closed terminal.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds to wait at the end for a function that was called for a signal.
JOIN_SECONDS = 1.0

logger = get_bounded_logger("django_loco.servers")


class SignalHandlers:
    """Calls ``on_signal`` in a thread, with the name of each signal that stops the process.

    ``others`` maps further signals to functions, which are called in that thread, too. The handlers that Python runs do
    nothing. ``wakeup_fd`` explains how a signal gets to the thread.

    Used as ``with SignalHandlers(...):``. Outside of the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(
        self,
        on_signal: Callable[[str], None],
        others: Mapping[signal.Signals, Callable[[], object]] = MappingProxyType({}),
        *,
        is_last: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``is_last``: the process ends afterwards, so at the end signals are ignored.

        Otherwise the handlers are restored. If they were restored in a process that ends, a repeated signal could kill
        it just after it has stopped cleanly.
        """
        self._on_signal, self._others, self._is_last = on_signal, others, is_last
        self._escalation = Escalation(clock)
        self._before: dict[int, Any] = {}
        self._before_socket = -1
        self._wakeup_fd = WakeupFd()
        self._thread = DaemonThread(target=self._run, name="loco-signals")

    def __enter__(self) -> Self:
        self._thread.start()
        if threading.current_thread() is threading.main_thread():
            self._install()
        return self

    def __exit__(self, *error: object) -> None:
        self._uninstall()
        self._wakeup_fd.end()
        self._thread.join(JOIN_SECONDS)

    def _install(self) -> None:
        self._before_socket = self._wakeup_fd.install()
        for number in (*STOP_SIGNALS, *self._others):
            # A process started with nohup keeps ignoring SIGHUP.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.getsignal(number) or signal.SIG_DFL
                note_caught({number: self._before[number]})
                signal.signal(number, _nothing)
        # The parent may have blocked signals until now; see ``children.child``.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._before)

    def _uninstall(self) -> None:
        """Restore the previous handlers, or ignore the signals."""
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._is_last else handler)
        signal.set_wakeup_fd(self._before_socket)
        forget_caught(*self._before)

    def _run(self) -> None:
        while (number := self._wakeup_fd.read()) != END:
            if number in STOP_SIGNALS:
                name = signal.Signals(number).name
                if self._escalation.note(name):
                    self._call(number, partial(self._on_signal, name))
            elif number in self._others:
                self._call(number, self._others[signal.Signals(number)])
        self._wakeup_fd.close()

    def _call(self, number: int, function: Callable[[], object]) -> None:
        try:
            function()
        except Exception:  # the next signal must still arrive
            logger.exception("Handling %s failed", signal.Signals(number).name)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Do nothing. Python writes to the wakeup socket only for signals that have a handler."""
