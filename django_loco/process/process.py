"""Runs a process that this package owns: its server and components, signals, code reloads, and the shutdown."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from types import MappingProxyType

from django.core.management.base import CommandError

from ..component import Component
from ..log.output.bounded import get_bounded_logger
from ..log.output.streams import nonblocking
from ..shutdown import RELOAD_TIMEOUT_SECONDS, Shutdown
from .children.control_channel import ALIVE, READY, ControlChannel
from .embedded import take_ownership
from .exit import enforce
from .exit_codes import REPLACE
from .reloading.autoreload import CodeWatch
from .server import PortError, Server
from .signals.escalation import Level, handle_signal, signals_after
from .signals.handlers import SignalHandlers
from .systemd import SystemdNotifier
from .watchdog import Watchdog

CODE_CHANGED = "the code has changed"
#: A shutdown is abandoned this many seconds after its deadline. Waits of ``MIN_STEP_SECONDS`` each may add up to that.
LATE_SHUTDOWN_SECONDS = 2.0

logger = get_bounded_logger("django_loco.servers")


class Process:
    """A server, its components, and their shutdown.

    1. ``run`` starts the server. Once the server is ready (the port is bound), ``announce`` is called with the URL and
       the components start. If the server cannot start, neither happens.
    2. ``run`` waits for a reason to end: a signal, changed code, the end of the server, the death of the parent, or
       any other call of ``shutdown.request``.
    3. ``shutdown.run`` ends everything in order, and ``run`` returns the exit code.
    """

    def __init__(
        self,
        server: Server,
        components: Component,
        shutdown: Shutdown,
        shut_down: Callable[[Component], int],
        *,
        announce: Callable[[str], None] = lambda _: None,
        reloads: bool = False,
        others: Mapping[signal.Signals, Callable[[], object]] = MappingProxyType({}),
        systemd: SystemdNotifier = SystemdNotifier(),  # noqa: B008 - the default does nothing
        keepalive_seconds: float = 0.0,
        is_well: Callable[[], bool] = lambda: True,
        is_last: bool = False,
    ) -> None:
        """``components`` starts all components. ``shut_down`` runs ``shutdown`` for them and the given server.

        ``others`` maps further signals to functions. Every ``keepalive_seconds`` seconds (0: never) the process reports
        its progress to its parent or systemd, if ``is_well()``. ``is_last``: nothing else runs in this process
        afterwards, so it may be killed if it does not end in time.
        """
        self._server, self._components, self._announce = server, components, announce
        self._shutdown, self._shut_down = shutdown, shut_down
        self._code_watch = CodeWatch(self._on_change) if reloads else None
        self._own_signals = self._parents_signals = 0
        self._others = others
        self._systemd = systemd
        self._is_last = is_last
        self._watchdog = Watchdog(keepalive_seconds, is_well, self._send_keepalive)
        self._error: BaseException | None = None
        self._channel = ControlChannel.of_parent()
        server.on_ready, server.on_end = self._on_ready, self._on_server_end

    def run(self) -> int:
        """Run until the end and return the exit code. If the server failed, raise its error."""
        take_ownership()
        with SignalHandlers(self._on_signal, self._others, is_last=self._is_last):
            if self._channel:
                self._channel.listen(
                    self._on_parents_signal, lambda: self._shutdown.request("the parent process has ended")
                )
            self._watchdog.start()
            self._server.start()
            if self._code_watch:
                self._code_watch.start(self._server.thread)
            self._shutdown.requested.wait()
            self._enforce_deadline()
            self._systemd.stopping()
            code = self._shut_down(self._server)
            self._watchdog.end()
        if self._error is not None:
            raise self._error
        return REPLACE if self._shutdown.reason == CODE_CHANGED and self._level == 0 else code

    @property
    def reason(self) -> str:
        """Why the process ends; empty until then."""
        return self._shutdown.reason

    def _on_ready(self, url: str) -> None:
        if self._shutdown.requested.is_set():
            return
        try:
            self._announce(url)
        except Exception:  # the site must serve even if its banner cannot be shown
            logger.exception("Could not show the start banner for %s", url)
        self._components.start()
        if self._channel:
            self._channel.send(READY)
        self._systemd.ready()

    def _send_keepalive(self) -> None:
        self._systemd.alive()
        if self._channel and not self._code_watch:  # a ``Reloader`` does not read the reports
            self._channel.send(ALIVE)

    def _on_server_end(self, error: BaseException | None) -> None:
        if self._shutdown.requested.is_set():
            return
        if self._code_watch and not self._server.is_ready and not isinstance(error, PortError):
            _show(error)
            return
        self._error = CommandError("The server ended unexpectedly.") if error is None else error
        self._shutdown.request("the server has ended")

    def _on_change(self) -> None:
        self._shutdown.request(CODE_CHANGED, timeout=min(RELOAD_TIMEOUT_SECONDS, self._shutdown.timeout))

    def _on_signal(self, name: str) -> None:
        self._own_signals = signals_after(name, self._own_signals)
        self._handle_signal(name)

    def _on_parents_signal(self, name: str) -> None:
        if other := self._others.get(signal.Signals[name]):
            other()
            return
        self._parents_signals = signals_after(name, self._parents_signals)
        self._handle_signal(name)

    def _handle_signal(self, name: str) -> None:
        handle_signal(self._shutdown, self._level, name)
        if self._level >= Level.FORCE:
            self._enforce_deadline()

    def _enforce_deadline(self) -> None:
        if self._is_last:
            enforce(self._shutdown.end + LATE_SHUTDOWN_SECONDS - time.monotonic())

    @property
    def _level(self) -> int:
        """The number of signals. A Ctrl-C counts once, although it reaches this process and its parent."""
        return max(self._own_signals, self._parents_signals)


def _show(error: BaseException | None) -> None:
    """Show why a server could not start, like the error of a command."""
    if isinstance(error, CommandError):
        nonblocking(sys.stderr).write(f"{error}\n")
    elif error is not None:
        traceback.print_exception(error, file=nonblocking(sys.stderr))
