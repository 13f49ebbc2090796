"""The channel between a process and the one that started it, its parent.

The parent passes signals on by a byte through the channel, and the child takes the higher one of two counts: its own
signals and its parent's. So Ctrl-C, which reaches all processes of a terminal, counts once, and ``kill`` of the parent
alone reaches the child, too. The child tells how far it has come. A channel that ends tells it that its parent is gone,
however that died.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from ..core.lifecycle.fork import closed_in_copies
from ..core.threads import DaemonThread

#: Where a child finds the number of its end of the channel.
CHANNEL_VARIABLE = "DJANGO_LOCO_LINK"
#: What a child says: its code is loaded, it serves, and, if its parent wants to know, that it makes progress.
LOADED, READY, ALIVE = b"+", b"!", b"."


class ControlChannel:
    """A child's end of the channel."""

    def __init__(self, end: socket.socket) -> None:
        self._end = closed_in_copies(end)

    @classmethod
    def of_parent(cls) -> ControlChannel | None:
        """Return this child's channel, if its parent made one; what the child starts in turn does not inherit it."""
        number = os.environ.pop(CHANNEL_VARIABLE, None)
        if number is None:
            return None
        end = socket.socket(fileno=int(number))
        end.set_inheritable(False)
        return cls(end)

    def ready(self) -> None:
        """Tell the parent that this process serves."""
        self.say(READY)

    def say(self, word: bytes) -> None:
        """Tell the parent something."""
        with suppress(OSError):  # that it is gone, or does not listen, we learn elsewhere
            self._end.send(word, socket.MSG_DONTWAIT)

    def listen(self, on_signal: Callable[[str], None], on_loss: Callable[[], object]) -> None:
        """Tell the parent that the code could be loaded; from then on call back, in a thread."""
        self.say(LOADED)
        DaemonThread(target=self._run, args=(on_signal, on_loss), name="loco-channel").start()

    def _run(self, on_signal: Callable[[str], None], on_loss: Callable[[], object]) -> None:
        while number := self._receive():
            on_signal(signal.Signals(number[0]).name)
        on_loss()

    def _receive(self) -> bytes:
        try:
            return self._end.recv(1)
        except ConnectionResetError:  # a parent that is gone before it has read what we sent
            return b""


def pass_on(channel: socket.socket, name: str) -> None:
    """Tell the child at the other end of ``channel`` of a signal."""
    with suppress(OSError):  # it has just ended, or has not listened for long
        channel.send(bytes([signal.Signals[name]]), socket.MSG_DONTWAIT)
