"""Signals of the operating system, brought to where they can be dealt with."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

#: What asks a process to end: the terminal, an operator or process manager, a terminal that was closed.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


logger = logging.getLogger(__name__)


class Signals:
    """Calls ``on_signal`` with the name of each signal that asks for the end, in a thread of its own.

    A handler runs in the main thread between any two instructions, also while that thread holds the lock of the very
    event that the handler would set. So the handler does nothing but put the number into a queue that allows for
    that (``SimpleQueue`` does, by its documentation), and a thread takes it out.

    Used as ``with Signals(...):``. Outside of the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(self, on_signal: Callable[[str], None]) -> None:
        self._on_signal = on_signal
        self._arrived: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}
        self._thread = threading.Thread(target=self._run, name="loco-signals", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if threading.current_thread() is threading.main_thread():
            for number in map(signal.Signals.__getitem__, NAMES):
                # A process started with nohup ignores SIGHUP and is to go on doing so. SIGINT may have been ignored
                # only until there is a handler; see ``Parent``.
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._arrived.put(None)
        self._thread.join()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (Python passes both)
        self._arrived.put(number)

    def _run(self) -> None:
        while (number := self._arrived.get()) is not None:
            try:
                self._on_signal(signal.Signals(number).name)
            except Exception:  # the next signal must arrive all the same
                logger.exception("%s was not dealt with", signal.Signals(number).name)
