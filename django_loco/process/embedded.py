"""The embedded runtime: components inside a process that another server owns (gunicorn, uvicorn, hypercorn).

Responsibilities
----------------
The server has the main thread and decides when the process ends. The components have their own threads; another thread
runs the shutdown. This thread gets signals first, through ``SignalRelay``. It runs the hooks, tells the components to
take no more work, hands the signal on to the server, and waits for the components and the server. The server reports
when its last request is answered, and must not end the process until the shutdown is done.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGINT, SIGQUIT, SIGTERM, Signals
from typing import Any

from django.core.management.base import CommandError

from ..component import Component
from ..core.threads import DaemonThread
from ..log.output import bounded, streams
from ..log.output.bounded import get_bounded_logger
from ..shutdown import AFTER_DEADLINE_SECONDS, CLEAN, FORCED, Shutdown
from .exit import at_interpreters_end, end_within, enforce
from .signals.escalation import EmbeddedEscalation, Level, handle_signal
from .signals.relay import SignalRelay

#: Seconds between two checks for whether the server is ending its process without a signal.
POLL_SECONDS = 0.25
#: Seconds between two heartbeats while a process waits for its jobs.
BEAT_SECONDS = 0.25
#: Seconds that a shutdown may take beyond its deadline.
LATE_SHUTDOWN_SECONDS = 1.0
#: The environment variable with flags of ``loco_start``, for servers with their own start command.
FLAGS_VARIABLE = "LOCO_START"
#: The environment variable that ``loco_start`` sets for a server that it starts.
STARTED_VARIABLE = "DJANGO_LOCO_STARTED"
SERVER_ENDS = "the server ends its process"

logger = get_bounded_logger("django_loco.servers")


@dataclass(frozen=True, kw_only=True)
class HostServer:
    """How the server that owns the process behaves."""

    is_ending: Callable[[], bool] = lambda: False
    """Whether it is ending the process without a signal."""

    stop_signal: Signals | None = None
    """The signal that makes it answer its last requests and stop; ``None``: the signal that arrived."""

    cut_signal: Signals | None = None
    """The signal that makes it drop its requests; ``None``: it has its own time limit."""

    on_cut: Callable[[], object] = lambda: None
    """Called before requests are dropped, if a signal asked for the end."""

    job_seconds: float = math.inf
    """How long jobs may run after the last request, when the server ends the process without a signal."""

    beat: Callable[[], object] = lambda: None
    """Called every ``BEAT_SECONDS`` while the process waits for its jobs."""

    is_last: bool = False
    """Whether nothing else runs in the process afterwards.

    Then the process may be killed if it does not end in time.
    """


class HostServerComponent(Component):
    """The server, as a component that ``Shutdown`` can stop."""

    name = "server"

    def __init__(self, stop: Callable[[], object], cut: Callable[[], object]) -> None:
        """``stop`` makes it accept no more requests, ``cut`` makes it drop those in flight."""
        self._stop, self._cut = stop, cut
        self._was_stopped = False
        self.served = threading.Event()

    def start(self) -> None:
        """Do nothing: the server is already running."""

    def quiet(self) -> None:
        """Do nothing: a server takes requests until it stops."""

    def stop(self, deadline: float) -> None:
        """Accept no more requests. When called again at the ``deadline``, drop the requests in flight."""
        if self.served.is_set():
            return
        was_stopped, self._was_stopped = self._was_stopped, True
        if not was_stopped:
            self._stop()
        elif deadline <= time.monotonic():
            self._cut()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the last request; return whether it was answered."""
        return self.served.wait(timeout)

    @property
    def is_alive(self) -> bool:
        """Whether the last request is still unanswered."""
        return not self.served.is_set()

    def health(self) -> dict[str, Any]:
        """Return ``alive``, and ``running``: 1 if it was told to stop and still answers requests."""
        return {"alive": self.is_alive, "running": int(self._was_stopped and self.is_alive)}


class EmbeddedRuntime:
    """Runs components in the process of another server, and shuts both down in order.

    1. ``start``, in the main thread once the server has its signal handlers, starts the components, and a thread that
       waits for a reason to end: a signal, or the server's own decision.
    2. That thread runs ``Shutdown.run``, which stops the server among the components.
    3. ``end``, in the main thread when the last request is answered, waits for that thread.
    """

    def __init__(
        self,
        host: HostServer,
        components: Component,
        shutdown: Shutdown,
        shut_down: Callable[[Component], int],
        *,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        """``components`` starts all components, and then ``announce`` is called.

        ``shut_down`` runs ``shutdown`` for the components and the given server, and returns the exit code.
        """
        self._host, self._components, self._announce = host, components, announce
        self._shutdown, self._shut_down = shutdown, shut_down
        self._server = HostServerComponent(self._stop_server, self._cut_server)
        self._relay = SignalRelay((SIGTERM, SIGINT, SIGQUIT), self._on_signal)
        self._escalation = EmbeddedEscalation()
        self._code = CLEAN
        self._has_ended = False
        self.pid = os.getpid()
        self._thread = DaemonThread(target=self._run, name="loco-embedded")

    @property
    def was_asked(self) -> bool:
        """Whether a signal asked for the end."""
        return self._escalation.level > 0

    def start(self) -> None:
        """Start the components. Outside of the main thread it notices only the end of the server, not signals."""
        if threading.current_thread() is threading.main_thread():
            self._relay.install()
        at_interpreters_end(self._on_interpreters_end)
        self._thread.start()
        if not self._host.is_ending():  # by an earlier signal
            self._components.start()
            self._announce()

    def end(self) -> int:
        """Report that the last request is answered, wait for the shutdown, and return the exit code."""
        if threading.current_thread() is threading.main_thread():
            self._relay.install()  # asyncio removes the handlers together with its loop
        self._server.served.set()
        self._shutdown.request(SERVER_ENDS)
        if self._shutdown.reason == SERVER_ENDS:
            self._shutdown.limit(self._host.job_seconds)
        while self._thread.is_alive() and time.monotonic() < self._shutdown.end + LATE_SHUTDOWN_SECONDS:
            self._host.beat()
            self._thread.join(BEAT_SECONDS)
        # uvicorn ends its process with the signal that it got, so no exit functions run.
        bounded.drain()
        streams.drain()
        return self._code if self._has_ended else FORCED

    def _run(self) -> None:
        while not self._shutdown.requested.wait(POLL_SECONDS):
            if self._host.is_ending():
                self._shutdown.request(SERVER_ENDS)
        try:
            self._code = self._shut_down(self._server)
        except BaseException:
            logger.exception("The shutdown has failed; the server ends without it")
            self._code = FORCED
            self._has_ended = True  # from here on the server gets all signals
            self._end_server()
        self._has_ended = True
        if self._host.cut_signal is None and self._escalation.level >= Level.FORCE:
            self._relay.hand_on(SIGINT)  # a second signal drops requests, too

    def _end_server(self) -> None:
        """Make the server end, by force when the time of the shutdown is up."""
        self._server.stop(math.inf)
        if not self._server.join(max(0.0, self._shutdown.deadline - time.monotonic())):
            self._server.stop(time.monotonic())

    def _on_interpreters_end(self) -> None:
        """Wait for the shutdown if the server has not done so (ASGI).

        Then limit the time for the interpreter's exit.
        """
        if self.pid != os.getpid():
            return
        if not self._has_ended:
            self.end()
        if self._host.is_last or self.was_asked:
            enforce(self._shutdown.end - time.monotonic())
            end_within(AFTER_DEADLINE_SECONDS, self._code)

    def _on_signal(self, name: str) -> None:
        if self._has_ended:  # only the server's requests are left
            self._relay.hand_on(Signals[name])
        elif self._escalation.note(name):
            handle_signal(self._shutdown, self._escalation.level, name)

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
    """Set the function that builds runtimes. The app sets it, because servers must not import the components."""
    global _runtime_factory
    _runtime_factory = function


def make_runtime(host: HostServer, **options: Any) -> EmbeddedRuntime:
    """Return the runtime of this process, not started. Raises ``CommandError``."""
    if _runtime_factory is None:
        raise CommandError('"django_loco" is not in INSTALLED_APPS. Add it there.')
    return _runtime_factory(host, **options)


_owner: int | None = None


def take_ownership() -> bool:
    """Record that the components of this process have an owner. Return whether they had none before."""
    global _owner
    before, _owner = _owner, os.getpid()
    return before != _owner


def is_owned() -> bool:
    """Whether the components of this process have an owner."""
    return _owner == os.getpid()
