"""The base class of the servers that ``Process`` runs, and ``NoServer``."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable

from django.core.management.base import CommandError
from django.utils import autoreload

from ..component import Component
from ..core.threads import DaemonThread, use_script_prefix


class PortError(CommandError):
    """The port cannot be bound. A change of the code would not help."""


class Server(Component):
    """Serves requests in a thread until it is stopped.

    1. ``start`` starts the thread, which runs the checks, binds the port, and calls ``on_ready`` with the URL.
    2. ``stop`` closes the port. Requests in flight go on.
    3. ``join`` waits for the requests in flight.
    4. When the thread ends, it calls ``on_end``, with the exception if there was one.
    """

    name = "server"

    def __init__(self) -> None:
        self.on_ready: Callable[[str], None] = lambda _: None
        self.on_end: Callable[[BaseException | None], None] = lambda _: None
        self.is_ready = False
        # Django's reloader waits for the apps until the thread with this name has ended.
        self.thread = DaemonThread(target=self._run, name="django-main-thread")

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def quiet(self) -> None:
        """Do nothing: a server takes requests until it stops."""

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self.thread.is_alive()

    @abstractmethod
    def serve(self) -> None:
        """Check the project, bind the port, call ``ready``, and serve until ``stop``."""

    def ready(self, url: str) -> None:
        """Report that requests are accepted; only once, however many addresses there are."""
        if not self.is_ready:
            self.is_ready = True
            self.on_ready(url)

    def _run(self) -> None:
        error: BaseException | None = None
        use_script_prefix()  # before the checks read STATIC_URL, since Django caches its value
        try:
            autoreload.check_errors(self.serve)()  # tells Django's reloader which file could not be imported
        except BaseException as caught:  # noqa: BLE001 (the process reports it)
            error = caught
        self.on_end(error)


class NoServer(Server):
    """The server of a process that serves nothing."""

    name = "process"

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        """``check`` runs the system checks, and raises if they fail."""
        super().__init__()
        self._check = check
        self._stopped = threading.Event()

    def serve(self) -> None:
        """Check the project, then wait."""
        self._check()
        self.ready("")
        self._stopped.wait()

    def stop(self, deadline: float) -> None:  # noqa: ARG002 (nothing to wait for)
        """End."""
        self._stopped.set()

    def join(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        """Return at once: there are no requests."""
        return True
