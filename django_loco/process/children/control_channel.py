"""The control channel: a socket pair between a parent process and its child.

The parent passes each signal on as a byte. The child counts the signals that it gets directly and those from its parent
separately, and obeys the higher count. So Ctrl-C, which reaches all processes of a terminal, counts once. A signal to
the parent alone reaches the child, too. The child reports how far it has started. If its parent dies, even by ``kill
-9``, the channel closes and the child notices.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from ...core.lifecycle.inherited_descriptors import closed_in_copies
from ...core.threads import DaemonThread

#: The environment variable with the descriptor of the child's end.
CHANNEL_VARIABLE = "DJANGO_LOCO_LINK"
#: Reports of a child: its code is loaded; it is ready; it makes progress (only if its parent asks for this).
LOADED, READY, ALIVE = b"+", b"!", b"."


class ControlChannel:
    """The child's end of the control channel."""

    def __init__(self, end: socket.socket) -> None:
        self._end = closed_in_copies(end)

    @classmethod
    def of_parent(cls) -> ControlChannel | None:
        """Return the channel to this process's parent, or ``None``. Its own children do not inherit the channel."""
        number = os.environ.pop(CHANNEL_VARIABLE, None)
        if number is None:
            return None
        end = socket.socket(fileno=int(number))
        end.set_inheritable(False)
        return cls(end)

    def send(self, word: bytes) -> None:
        """Report ``word`` to the parent."""
        with suppress(OSError):  # ``_run`` notices that the parent has died
            self._end.send(word, socket.MSG_DONTWAIT)

    def listen(self, on_signal: Callable[[str], None], on_loss: Callable[[], object]) -> None:
        """Report that the code is loaded. From then on, call back from a thread."""
        self.send(LOADED)
        DaemonThread(target=self._run, args=(on_signal, on_loss), name="loco-channel").start()

    def _run(self, on_signal: Callable[[str], None], on_loss: Callable[[], object]) -> None:
        while number := self._receive():
            on_signal(signal.Signals(number[0]).name)
        on_loss()

    def _receive(self) -> bytes:
        try:
            return self._end.recv(1)
        except ConnectionResetError:  # the parent died before it read our bytes
            return b""


def pass_on(channel: socket.socket, name: str) -> None:
    """Pass a signal on to the child at the other end of ``channel``."""
    with suppress(OSError):  # the child has just ended, or does not read its end
        channel.send(bytes([signal.Signals[name]]), socket.MSG_DONTWAIT)
