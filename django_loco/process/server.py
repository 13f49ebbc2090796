"""What a process is built around."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable

from ..component import Component
from ..core.threads import DaemonThread


class Server(Component):
    """Serves requests, in a thread of its own, until it is told to stop.

    1. ``start`` begins the thread, which prepares (checks, the port) and then calls ``on_ready`` with the URL.
    2. ``stop`` makes it accept nothing more; what is in flight goes on.
    3. ``join`` waits for what is in flight.
    4. When the thread ends, ``on_end`` is called in it, with the exception if it was one.
    """

    name = "server"

    def __init__(self) -> None:
        self.on_ready: Callable[[str], None] = lambda _: None
        self.on_end: Callable[[BaseException | None], None] = lambda _: None
        self.is_ready = False
        # Django's reloader gives up waiting for the apps when the thread of this name is gone.
        self.thread = DaemonThread(target=self._run, name="django-main-thread")

    def start(self) -> None:
        """Begin to prepare."""
        self.thread.start()

    def quiet(self) -> None:
        """Do nothing: a server takes requests until it stops."""

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self.thread.is_alive()

    @abstractmethod
    def serve(self) -> None:
        """Prepare, call ``ready``, and serve until ``stop``."""

    def ready(self, url: str) -> None:
        """Let the process know that requests are accepted; once, however many addresses there are."""
        if not self.is_ready:
            self.is_ready = True
            self.on_ready(url)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self.serve()
        except BaseException as caught:  # noqa: BLE001 (told to the process, which shows it)
            error = caught
        self.on_end(error)


class NoServer(Server):
    """Stands where a server would in a process that has none."""

    name = "process"

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        """``check`` looks whether the project is sound, and raises if not."""
        super().__init__()
        self._check = check
        self._stopped = threading.Event()

    def serve(self) -> None:
        """Check the project, then wait."""
        self._check()
        self.ready("")
        self._stopped.wait()

    def stop(self, deadline: float) -> None:  # noqa: ARG002 (there is nothing to wait for)
        """End."""
        self._stopped.set()

    def join(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        """Return at once: nothing is ever in flight."""
        return True
