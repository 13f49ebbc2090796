"""Starts a child process, and reports to its parent how far it has started."""

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

from ...core.lifecycle.inherited_descriptors import closed_in_copies
from ..systemd import VARIABLES
from .control_channel import CHANNEL_VARIABLE, LOADED, READY, pass_on
from .identity import ProcessIdentity

#: Signals that are blocked in a child until it has its own handlers. Otherwise Ctrl-C would only raise
#: KeyboardInterrupt during the child's imports. While the child starts, other threads of this process get these
#: signals.
BLOCKED_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTSTP)
#: In a terminal only Ctrl-C is blocked: Ctrl-Z still suspends the site, and closing the terminal still ends it.
BLOCKED_SIGNALS_IN_TERMINAL = (signal.SIGINT,)


class Child:
    """A child process, as its parent sees it."""

    def __init__(self, popen: subprocess.Popen[bytes], channel: socket.socket, key: str = "") -> None:
        """``key``: see ``ProcessIdentity``."""
        self.key = key
        self.channel = closed_in_copies(channel)  # a child notices its parent's death only when all copies are closed
        self.began = self.received_at = time.monotonic()
        """When it was started, and when it last reported progress (``time.monotonic()``, seconds)."""
        self.is_loaded = self.is_ready = self.is_silent = False
        """Whether its code is loaded, whether it is ready, and whether its end of the channel is closed."""
        self.kill_at = math.inf
        """When to kill it (``time.monotonic()``, seconds)."""
        self.stop_seconds = math.inf
        """How many seconds after a SIGTERM to kill it."""
        self.ends = 0
        """How often it was told to stop."""
        self.is_expendable = False
        """Whether it was killed before it had loaded its code."""
        self._popen = popen

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def receive(self) -> Self:
        """Read the child's reports. Return the child."""
        try:
            words = self.channel.recv(256, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return self
        except OSError:
            words = b""
        self.is_silent = not words
        self.received_at = time.monotonic()
        if LOADED in words:
            self.is_loaded = True
        if READY in words:
            self.is_ready = True
        return self

    def send(self, name: str) -> None:
        """Pass a signal on."""
        if name == "SIGTERM":
            self.kill_at = min(self.kill_at, time.monotonic() + self.stop_seconds)
        pass_on(self.channel, name)

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        code = self._popen.wait()
        self.poll()
        return code

    def poll(self) -> int | None:
        """Return its exit code; ``None`` while it runs. Only for callers that do not use ``waitpid``."""
        code = self._popen.poll()
        if code is not None:
            self.receive()
            self.channel.close()
        return code

    def kill(self) -> None:
        """Kill it."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # ``Popen.kill`` would reap a child that has ended

    def note_end(self, code: int) -> None:
        """Record that it has ended, as ``waitpid`` told the caller."""
        self._popen.returncode = code
        self.channel.close()


def start(
    identity: ProcessIdentity,
    command: Sequence[str] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    without: Sequence[str] = (),
) -> Child:
    """Start ``command`` (by default: the command of this process) as a process with this identity.

    It gets the environment of this process, without the variables named in ``without``, and with ``environment``.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, *without)}
    variables = {**inherited, **environment, **identity.variable}
    return _start(command or autoreload.get_child_arguments(), variables, key=identity.key)


def start_in_terminal(environment: Mapping[str, str]) -> Child:
    """Start the command of this process once more, with its terminal and its open files."""
    return _start(autoreload.get_child_arguments(), {**os.environ, **environment}, has_terminal=True)


def _start(
    command: Sequence[str], environment: Mapping[str, str], *, key: str = "", has_terminal: bool = False
) -> Child:
    ours, theirs = socket.socketpair()
    blocked = BLOCKED_SIGNALS_IN_TERMINAL if has_terminal else BLOCKED_SIGNALS
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        with theirs:
            theirs.set_inheritable(has_terminal)
            popen = subprocess.Popen(  # noqa: S603 - the command is our own
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
    """Yield the id and exit code of each child that has ended. As PID 1, also of processes that it did not start."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)
