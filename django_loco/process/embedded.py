"""Components in a process that belongs to a server which is not ours: a worker of gunicorn, uvicorn, hypercorn.

Whose turn it is
----------------
The server has the main thread and decides when the process ends; the components have threads of their own, and one
more goes through the order of the shutdown. Signals come to that thread first (``relay``). It runs the hooks, tells
the components to take nothing new, then lets the server have the signal, and waits for both. The server says when its
last request is answered, and is kept from ending the process until the rest is done.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from signal import SIGINT, SIGQUIT, SIGTERM, Signals
from typing import Any

from django.core.management.base import CommandError

from ..component import Component
from ..core.threads import DaemonThread
from ..log.bounded import get_bounded_logger
from ..shutdown import CLEAN, FORCED, TAIL, Shutdown
from .exit import at_interpreters_end, end_within
from .signals.escalation import EmbeddedEscalation, Level, obey
from .signals.relay import SignalRelay

#: Seconds between two looks at whether the server ends its process by itself.
LOOK_EVERY = 0.25
#: Seconds between two signs of life while a process waits for its jobs.
BEAT_EVERY = 0.25
#: Seconds after which a shutdown that should be over is waited for no longer.
SPARE = 1.0
#: The environment variable with flags of ``loco_start`` for what runs beside a server of its own.
FLAGS = "LOCO_START"
#: Set where it is ``loco_start`` that has started the server.
STARTED = "DJANGO_LOCO_STARTED"
ENDS = "the server ends its process"

logger = get_bounded_logger("django_loco.servers")


@dataclass(frozen=True, kw_only=True)
class HostServer:
    """What there is to know of the server."""

    is_ending: Callable[[], bool] = lambda: False
    """Whether it has decided by itself to end the process."""

    stop_signal: Signals | None = None
    """What makes it answer its last requests, whatever signal came; ``None``: that one."""

    cut_signal: Signals | None = None
    """What makes it leave its requests; ``None``: it has a limit of its own for them."""

    on_cut: Callable[[], object] = lambda: None
    """Called before that, if a signal has asked for the end."""

    patience: float = math.inf
    """Seconds that jobs have after its last answer when it is the server that ends the process."""

    beat: Callable[[], object] = lambda: None
    """Called now and then while the process waits for its jobs."""

    is_last: bool = False
    """Whether nothing comes after it in the process, so that this may be killed when it does not end in time."""


class HostServerComponent(Component):
    """The server as a shutdown sees it."""

    name = "server"

    def __init__(self, stop: Callable[[], object], cut: Callable[[], object]) -> None:
        """``stop`` makes it accept nothing more, ``cut`` leave what it has accepted."""
        self._stop, self._cut = stop, cut
        self._told = False
        self.served = threading.Event()

    def start(self) -> None:
        """Do nothing: it runs."""

    def quiet(self) -> None:
        """Do nothing: a server takes requests until it stops."""

    def stop(self, deadline: float) -> None:
        """Let it accept nothing more; when told so again at the ``deadline``, leave the requests in flight."""
        if self.served.is_set():
            return
        told, self._told = self._told, True
        if not told:
            self._stop()
        elif deadline <= time.monotonic():
            self._cut()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for its last answer; return whether it was given."""
        return self.served.wait(timeout)

    @property
    def is_alive(self) -> bool:
        """Whether it has not given its last answer."""
        return not self.served.is_set()

    def health(self) -> dict[str, Any]:
        """Return ``alive``, and as ``running`` 1 if it was told to stop and still answers."""
        return {"alive": self.is_alive, "running": int(self._told and self.is_alive)}


class EmbeddedRuntime:
    """Components beside the server of this process, and their end.

    1. ``start``, in the main thread when the server has its handlers for signals, starts the components and a thread
       that waits for what ends them: a signal, or the server that ends by itself.
    2. The thread goes through ``shutdown.run``; the server is one of its parts.
    3. ``end``, in the main thread when the last request is answered, waits for that thread.
    """

    def __init__(
        self,
        host: HostServer,
        components: Component,
        shutdown: Shutdown,
        *,
        announce: Callable[[], None] = lambda: None,
        running: Callable[[], Sequence[Component]] = lambda: (),
        finish: Callable[[], None] | None = None,
    ) -> None:
        """``components`` starts and stops them all; ``announce`` is called when they run; the rest is for the end."""
        self._host, self._components, self._shutdown = host, components, shutdown
        self._announce, self._running, self._finish = announce, running, finish
        self._server = HostServerComponent(self._stop_server, self._cut_server)
        self._relay = SignalRelay((SIGTERM, SIGINT, SIGQUIT), self._on_signal)
        self._escalation = EmbeddedEscalation()
        self._code = CLEAN
        self._has_ended = False
        self._pid = os.getpid()
        self._thread = DaemonThread(target=self._run, name="loco-embedded")

    @property
    def was_asked(self) -> bool:
        """Whether it was a signal that asked for the end."""
        return self._escalation.level > 0

    def start(self) -> None:
        """Start the components. Outside of the main thread no signal is seen, only the server's end."""
        if threading.current_thread() is threading.main_thread():
            self._relay.install()
        at_interpreters_end(self._on_interpreters_end)
        self._thread.start()
        if not self._host.is_ending():  # by a signal that came first
            self._components.start()
            self._announce()

    def end(self) -> int:
        """Say that the last request is answered, wait for all the rest, and return the exit code."""
        if threading.current_thread() is threading.main_thread():
            self._relay.install()  # asyncio takes handlers away with its loop
        self._server.served.set()
        self._on_servers_end()
        if self._shutdown.reason == ENDS:
            self._shutdown.limit(self._host.patience)
        while self._thread.is_alive() and time.monotonic() < self._shutdown.end + SPARE:
            self._host.beat()
            self._thread.join(BEAT_EVERY)
        return self._code if self._has_ended else FORCED

    def _run(self) -> None:
        while not self._shutdown.requested.wait(LOOK_EVERY):
            if self._host.is_ending():
                self._on_servers_end()
        self._code = self._shutdown.run(self._components, self._server, components=self._running(), finish=self._finish)
        self._has_ended = True
        if self._host.cut_signal is None and self._escalation.level >= Level.HURRY:
            self._relay.hand_on(SIGINT)  # a second signal is meant for its requests, too

    def _on_interpreters_end(self) -> None:
        """Wait for the end if the server has not (asgi), and for no longer than that for what else there is."""
        if self._pid != os.getpid():
            return
        if not self._has_ended:
            self.end()
        if self._host.is_last or self.was_asked:
            end_within(TAIL, self._code)

    def _on_servers_end(self) -> None:
        self._shutdown.request(ENDS)

    def _on_signal(self, name: str) -> None:
        if self._has_ended:  # it is between the server and its requests
            self._relay.hand_on(Signals[name])
        elif self._escalation.hear(name):
            obey(self._shutdown, self._escalation.level, name)

    def _stop_server(self) -> None:
        if self._shutdown.signal and not self._host.is_ending():
            self._relay.hand_on(self._host.stop_signal or Signals[self._shutdown.signal])

    def _cut_server(self) -> None:
        if self.was_asked:
            self._host.on_cut()
        if self._host.cut_signal:
            self._relay.hand_on(self._host.cut_signal)


RuntimeFactory = Callable[..., EmbeddedRuntime]
_runtime_factory: RuntimeFactory | None = None


def set_runtime_factory(function: RuntimeFactory) -> None:
    """Have ``function`` make what runs beside a server. The app hands it in: servers know nothing of what can run."""
    global _runtime_factory
    _runtime_factory = function


def make_runtime(host: HostServer, **options: Any) -> EmbeddedRuntime:
    """Return what is to run in this process beside its server, not started. Raises ``CommandError``."""
    if _runtime_factory is None:
        raise CommandError('"django_loco" is not in INSTALLED_APPS. Add it there.')
    return _runtime_factory(host, **options)


_owner: int | None = None


def claim() -> bool:
    """Say that somebody looks after the components of this process; return whether nobody did before."""
    global _owner
    before, _owner = _owner, os.getpid()
    return before != _owner


def is_claimed() -> bool:
    """Whether somebody looks after the components of this process."""
    return _owner == os.getpid()
