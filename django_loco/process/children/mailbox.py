"""What other threads want the main thread to do, and the main thread's way to wait for it."""

from __future__ import annotations

import math
import queue
import selectors
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

from ...core.lifecycle.fork import closed_in_copies


class Inbox:
    """Calls in the order in which they came in. Used as ``with Inbox() as inbox:``."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._read, self._write = (closed_in_copies(end) for end in socket.socketpair())
        for end in (self._read, self._write):
            end.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._read.close()
        self._write.close()

    def put(self, call: Callable[[], object]) -> None:
        """Have ``call`` called; from any thread."""
        self._calls.put(call)
        with suppress(OSError):  # full, so that it wakes up anyway; or closed, so that nobody cares any more
            self._write.send(b".")

    def wait(self, timeout: float, links: Iterable[socket.socket]) -> None:
        """Wait for calls, and make them; or until one of ``links`` can be read; ``timeout`` seconds at most."""
        with selectors.DefaultSelector() as selector:
            for end in (self._read, *links):
                selector.register(end, selectors.EVENT_READ)
            selector.select(None if timeout == math.inf else timeout)
        with suppress(BlockingIOError):
            self._read.recv(4096)
        with suppress(queue.Empty):
            while True:
                self._calls.get_nowait()()
