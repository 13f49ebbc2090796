"""A self-pipe: lets other threads and signals wake a thread that waits for sockets."""

from __future__ import annotations

import socket
import weakref
from contextlib import suppress

from ..lifecycle.inherited_descriptors import closed_in_copies


class Wakeup:
    """A pair of sockets. Bytes written by ``wake``, from any thread, make it readable for a selector.

    Both ends are closed when the object is collected, and in forked copies of the process.
    """

    def __init__(self) -> None:
        self._read, self._write = (closed_in_copies(end) for end in socket.socketpair())
        self._write.setblocking(False)
        for end in (self._read, self._write):
            weakref.finalize(self, end.close).atexit = False

    def fileno(self) -> int:
        """Return the descriptor that a selector waits for."""
        return self._read.fileno()

    def wake(self, byte: bytes = b"!") -> None:
        """Make it readable."""
        with suppress(OSError):  # full, so the reader wakes up anyway; or closed, so nobody reads
            self._write.send(byte)

    def drain(self) -> bytes:
        """Return the bytes written since the last call, without waiting."""
        with suppress(BlockingIOError):
            return self._read.recv(4096, socket.MSG_DONTWAIT)
        return b""

    def close(self) -> None:
        """Close both ends."""
        self._read.close()
        self._write.close()
