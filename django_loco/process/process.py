"""A process from its first to its last moment: a server, the components beside it, signals, reloads, the end."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from django.core.management.base import CommandError

from ..component import Component
from ..log.bounded import get_bounded_logger
from ..log.streams import nonblocking
from ..shutdown import CLEAN, FORCED, RELOAD_TIMEOUT, TAIL, Shutdown
from .autoreload import RELOAD, FileWatch
from .control_channel import ALIVE, ControlChannel
from .embedded import claim
from .exit import end_within, enforce, exit_now
from .server import Server
from .signals.escalation import Level, obey
from .signals.listener import ENDING, SignalListener
from .systemd import SystemdNotifier
from .watchdog import Watchdog

CHANGED = "the code has changed"
#: Seconds after its very end that a shutdown is given up. Waits of half a second add up there: see ``AT_LEAST``.
LATE = 2.0

logger = get_bounded_logger("django_loco.servers")


class Process:
    """What runs in this process, and its end.

    1. ``run`` starts the server. Once that is ready (the port is bound), the components start, and ``announce`` is
       called with the URL. Nothing of that happens if the server cannot be started.
    2. It waits for what ends the process: a signal, changed code, the server's end, the loss of the parent, or
       whoever else calls ``shutdown.request``.
    3. ``shutdown.run`` ends everything in its order, and ``run`` returns the exit code.
    """

    def __init__(
        self,
        server: Server,
        components: Component,
        shutdown: Shutdown,
        *,
        announce: Callable[[str], None] = lambda _: None,
        running: Callable[[], Sequence[Component]] = lambda: (),
        finish: Callable[[], None] | None = None,
        reloads: bool = False,
        others: Mapping[signal.Signals, Callable[[], object]] = MappingProxyType({}),
        systemd: SystemdNotifier = SystemdNotifier(),  # noqa: B008 - one that tells nobody
        sign_seconds: float = 0.0,
        is_well: Callable[[], bool] = lambda: True,
        is_last: bool = False,
    ) -> None:
        """``components`` starts and stops them all; ``running`` and ``finish`` are for ``shutdown.run``.

        ``others`` maps further signals to what each of them does. Every ``sign_seconds`` seconds (0: never) the parent
        or systemd is told that the process makes progress, if ``is_well()``. ``is_last``: nothing follows in this
        process, so it may be killed if it does not end in time.
        """
        self._server, self._components, self._shutdown = server, components, shutdown
        self._announce, self._running, self._finish = announce, running, finish
        self._file_watch = FileWatch(self._on_change) if reloads else None
        self._own_signals = self._parents_signals = 0
        self._others = others
        self._systemd = systemd
        self._is_last = is_last
        self._watchdog = Watchdog(sign_seconds, is_well, self._give_sign)
        self._error: BaseException | None = None
        self._channel = ControlChannel.of_parent()
        server.on_ready, server.on_end = self._on_ready, self._on_server_end

    def run(self) -> int:
        """Run to the end and return the exit code. Raises what made the server fail."""
        claim()
        with SignalListener(self._on_signal, self._others, is_last=self._is_last):
            if self._channel:
                self._channel.listen(
                    self._on_parents_signal, lambda: self._shutdown.request("the parent process has ended")
                )
            self._watchdog.start()
            self._server.start()
            if self._file_watch:
                self._file_watch.start(self._server.thread)
            self._shutdown.requested.wait()
            self._enforce_deadline()
            self._systemd.stopping()
            code = self._shutdown.run(self._components, self._server, components=self._running(), finish=self._finish)
            self._watchdog.end()
        if self._error:
            raise self._error
        return RELOAD if self._shutdown.reason == CHANGED and self._level == 0 else code

    @property
    def reason(self) -> str:
        """Why it ends, once it does."""
        return self._shutdown.reason

    def _on_ready(self, url: str) -> None:
        if self._shutdown.requested.is_set():
            return
        try:
            self._announce(url)
        except Exception:  # a site is not kept from serving by what cannot be shown of it
            logger.exception("Could not show the start banner for %s", url)
        self._components.start()
        if self._channel:
            self._channel.ready()
        self._systemd.ready()

    def _give_sign(self) -> None:
        self._systemd.alive()
        if self._channel and not self._file_watch:  # the parent of a site that reloads does not listen
            self._channel.say(ALIVE)

    def _on_server_end(self, error: BaseException | None) -> None:
        if self._shutdown.requested.is_set():
            return
        if self._file_watch and not self._server.is_ready:
            _show(error)
            return
        self._error = error or CommandError("The server ended unexpectedly.")
        self._shutdown.request("the server has ended")

    def _on_change(self) -> None:
        self._shutdown.request(CHANGED, timeout=min(RELOAD_TIMEOUT, self._shutdown.timeout))

    def _on_signal(self, name: str) -> None:
        self._own_signals += 1
        self._obey(name)

    def _on_parents_signal(self, name: str) -> None:
        if other := self._others.get(signal.Signals[name]):
            other()
            return
        self._parents_signals += 1
        self._obey(name)

    def _obey(self, name: str) -> None:
        obey(self._shutdown, self._level, name)
        if self._level >= Level.HURRY:
            self._enforce_deadline()

    def _enforce_deadline(self) -> None:
        if self._is_last:
            enforce(self._shutdown.end + LATE - time.monotonic())

    @property
    def _level(self) -> int:
        """How many signals there were: one Ctrl-C reaches this process and its parent, and is one signal."""
        return max(self._own_signals, self._parents_signals)


def _show(error: BaseException | None) -> None:
    """Show what kept a server from starting, the way a command does that ends."""
    if isinstance(error, CommandError):
        nonblocking(sys.stderr).write(f"{error}\n")
    elif error:
        traceback.print_exception(error, file=nonblocking(sys.stderr))


def leave(code: int) -> None:
    """End the process with an exit code, whatever threads and processes others have left behind in it."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    if code == FORCED:
        # Jobs that were cut off may still run in their threads. The interpreter's own end would let them run on
        # while modules are taken down around them.
        exit_now(code)
    end_within(TAIL, code)
    if code != CLEAN:
        sys.exit(code)
