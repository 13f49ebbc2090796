"""The mailbox of the parent's main thread: other threads put calls into it, the main thread waits and makes them."""

from __future__ import annotations

import math
import queue
import selectors
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

from ...core.threads.wakeup import Wakeup


class Mailbox:
    """A queue of calls. Used as ``with Mailbox() as mailbox:``."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._wakeup = Wakeup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._wakeup.close()

    def put(self, call: Callable[[], object]) -> None:
        """Let the main thread make ``call``. May be called from any thread."""
        self._calls.put(call)
        self._wakeup.wake()

    def wait(self, timeout: float, channels: Iterable[socket.socket]) -> None:
        """Wait up to ``timeout`` seconds for calls or for data in one of ``channels``. Make the calls."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            for channel in channels:
                selector.register(channel, selectors.EVENT_READ)
            selector.select(None if timeout == math.inf else timeout)
        self._wakeup.drain()
        with suppress(queue.Empty):
            while True:
                self._calls.get_nowait()()
