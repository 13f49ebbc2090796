"""A process that this one has started, by default by the same command with the same arguments."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Self

from django.utils import autoreload

from ...core.lifecycle.fork import closed_in_copies
from ..control_channel import CHANNEL_VARIABLE, LOADED, READY, pass_on
from ..systemd import VARIABLES
from .identity import ProcessIdentity

#: Signals that wait until a child has handlers of its own: before that, a Ctrl-C would be but a KeyboardInterrupt amid
#: its imports. What this process gets meanwhile, its other threads get.
HELD_BACK = (signal.SIGINT, signal.SIGHUP, signal.SIGTSTP)
#: Ctrl-Z suspends a site in its terminal, and closing the terminal ends it, as ever.
HELD_BACK_IN_TERMINAL = (signal.SIGINT,)


class Child:
    """One process, as its parent knows it."""

    def __init__(self, popen: subprocess.Popen[bytes], channel: socket.socket, key: str = "") -> None:
        """``key``: see ``ProcessIdentity``."""
        self.key = key
        self.channel = closed_in_copies(channel)  # while one is open, a child does not learn that its parent is gone
        self.began = self.heard = time.monotonic()
        """When it was started, and when it was last heard of, both in ``time.monotonic()`` seconds."""
        self.is_loaded = self.is_ready = self.is_silent = False
        """Whether its code is loaded, whether it serves, whether it will say no more."""
        self.kill_at = math.inf
        """When its patience with it ends, in ``time.monotonic()`` seconds."""
        self.ends = 0
        """How often it was told to end."""
        self.is_expendable = False
        """Whether it was killed because nothing could be lost."""
        self._popen = popen

    @property
    def pid(self) -> int:
        """Its number in the system."""
        return self._popen.pid

    def hear(self) -> Self:
        """Take in what it has said; return the child."""
        try:
            words = self.channel.recv(256, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return self
        except OSError:
            words = b""
        self.is_silent = not words
        self.heard = time.monotonic()
        if LOADED in words:
            self.is_loaded = True
        if READY in words:
            self.is_ready = True
        return self

    def tell(self, name: str) -> None:
        """Pass a signal on."""
        pass_on(self.channel, name)

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        code = self._popen.wait()
        self.poll()
        return code

    def poll(self) -> int | None:
        """Return its exit code; ``None`` while it runs. For those who do not learn of it by ``ended``."""
        code = self._popen.poll()
        if code is not None:
            self.hear()
            self.channel.close()
        return code

    def kill(self) -> None:
        """End it on the spot."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # ``Popen`` would first look, and take note of, whether it has ended

    def ended(self, code: int) -> None:
        """Note that it has ended, of which our caller has learnt by ``waitpid``."""
        self._popen.returncode = code
        self.channel.close()


def start(
    identity: ProcessIdentity,
    command: Sequence[str] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    without: Sequence[str] = (),
) -> Child:
    """Start ``command``, by default this very one, as a new process in ``place``.

    ``environment`` goes into its environment beside what is in this process's, but for what is named in ``without``.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, *without)}
    variables = {**inherited, **environment, **identity.variable}
    return _start(command or autoreload.get_child_arguments(), variables, HELD_BACK, key=identity.key)


def start_in_terminal(environment: Mapping[str, str]) -> Child:
    """Start this command once more, with the terminal and all else that this process has, and ``environment``."""
    variables = {**os.environ, **environment}
    return _start(autoreload.get_child_arguments(), variables, HELD_BACK_IN_TERMINAL, has_terminal=True)


def _start(
    command: Sequence[str],
    environment: Mapping[str, str],
    held_back: Sequence[signal.Signals],
    *,
    key: str = "",
    has_terminal: bool = False,
) -> Child:
    ours, theirs = socket.socketpair()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held_back)
    try:
        with theirs:
            theirs.set_inheritable(has_terminal)
            popen = subprocess.Popen(  # noqa: S603 - a command of ours, no text from outside
                command,
                env={**environment, CHANNEL_VARIABLE: str(theirs.fileno())},
                stdin=None if has_terminal else subprocess.DEVNULL,
                close_fds=not has_terminal,
                pass_fds=() if has_terminal else [theirs.fileno()],
            )
    except BaseException:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Child(popen, ours, key)


def ended() -> Iterator[tuple[int, int]]:
    """Yield id and exit code of each process that has ended. The first one in a container gets those of others, too."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)
