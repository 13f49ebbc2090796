"""Code reloads: a parent that starts the site anew, and a child that is the site.

How a reload goes
-----------------
The parent starts the same command again as its child, marked by Django's ``RUN_MAIN``. The child serves, and looks
for changes by Django's own means. Finding one it ends, briefly but in good order, with exit code ``RELOAD``, and
the parent starts the next child. A child whose code cannot even be imported ends before it can look for anything;
then the parent looks.

How signals go
--------------
The parent passes on what it gets through the ``channel`` between them. A child whose parent is gone ends: a site that
nobody sees must not live on and hold the port. (Django's parent passes no SIGTERM on, and kills its child a quarter of
a second after Ctrl-C.)
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from django.apps import apps
from django.utils import autoreload

from ..core.threads import DaemonThread
from ..log.bounded import get_bounded_logger
from ..shutdown import CLEAN, FORCED, TAIL
from .children.child import Child, start_in_terminal
from .signals.escalation import Level
from .signals.listener import SignalListener
from .stack_dump import log_stacks

#: The exit code by which a child asks for the next one; Django's.
RELOAD = 3
#: Set for every child after one that served.
RELOADED_VARIABLE = "DJANGO_LOCO_AGAIN"
#: What a shell adds to the number of the signal that killed a process, for an exit code.
KILLED = 128

logger = get_bounded_logger("django_loco.servers")


def is_child() -> bool:
    """Whether this process is the site, rather than the parent that starts it."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def is_reloaded() -> bool:
    """Whether the site has been served before, by an earlier child."""
    return os.environ.get(RELOADED_VARIABLE) == "true"


class FileWatch:
    """Looks for changed files, in a thread, and calls ``on_change`` once."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._reloader = autoreload.get_reloader()

    def start(self, main: DaemonThread) -> None:
        """Begin, once the apps are loaded, with the files of all modules. ``main`` is the thread that loads them."""
        autoreload.ensure_echo_on()
        self._begin(lambda: self._reloader.run(main))

    def start_with_folders(self) -> None:
        """Begin with the files of all modules, and those in the folders of the project's apps."""
        for app in apps.get_app_configs():
            if "site-packages" not in Path(app.path).parts:
                self._reloader.watch_dir(app.path, "**/*.py")
        self._begin(self._reloader.run_loop)

    def stop(self) -> None:
        """Look no more."""
        self._reloader.stop()

    def _begin(self, loop: Callable[[], None]) -> None:
        DaemonThread(target=self._run, args=(loop,), name="loco-reload").start()

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except SystemExit:  # how the reloader says that something has changed
            self._on_change()
        except Exception:
            logger.exception("Files are no longer watched for changes")


class Reloader:
    """Starts the site, and starts it anew whenever its code has changed.

    1. ``run`` starts a child and waits for its end.
    2. A child that wants to be reloaded is followed by the next one; one that could not load its code, by the next
       one after a change; with any other the parent ends, too, with the same exit code.
    3. Signals are passed on, that for the stacks of all threads, too. What a stopping child has not done in its time,
       or by the third signal, ends it.
    """

    def __init__(self, shutdown_timeout: float, *, others: Sequence[signal.Signals] = ()) -> None:
        """``shutdown_timeout`` is how many seconds the child may take to end, but for what it does in its tail.

        ``others`` are further signals to pass on.
        """
        self._others = others
        self._patience = shutdown_timeout + 2 * TAIL
        self._signals = 0
        self._has_served = False
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._child: Child | None = None

    def run(self) -> int:
        """Return the exit code of the last child."""
        others = {number: partial(self._pass_on, number.name) for number in self._others}
        with SignalListener(self._on_signal, others | {signal.SIGTTIN: self._show_stacks}, is_last=True):
            while not self._is_stopping():
                code, loaded = self._run_child()
                if code == RELOAD:
                    continue
                if loaded:
                    return FORCED if code and self._is_stopping() else code
                if not self._is_stopping():
                    self._await_change()
        return CLEAN

    def _is_stopping(self) -> bool:
        return self._signals > 0

    def _run_child(self) -> tuple[int, bool]:
        """Return the exit code of a child (as a shell has it), and whether it could load its code."""
        variables = {autoreload.DJANGO_AUTORELOAD_ENV: "true"}
        variables |= {RELOADED_VARIABLE: "true"} if self._has_served else {}
        with self._lock:
            child = self._child = start_in_terminal(variables)
            if self._signals:
                self._tell_child("SIGTERM")
        code = child.wait()
        self._has_served |= child.is_ready
        return code if code >= 0 else KILLED - code, child.is_loaded

    def _on_signal(self, name: str) -> None:
        with self._lock:
            self._signals += 1
            self._tell_child(name)
        self._news.set()

    def _show_stacks(self) -> None:
        log_stacks()
        self._pass_on("SIGTTIN")

    def _pass_on(self, name: str) -> None:
        with self._lock:
            if self._child and self._child.hear().is_loaded:
                self._child.tell(name)

    def _tell_child(self, name: str) -> None:
        if self._child is None:
            return
        if self._signals >= Level.KILL or not self._child.hear().is_loaded:
            self._child.kill()  # Of a child that has not loaded its code, nothing can be lost.
            return
        self._child.tell(name)
        killer = threading.Timer(self._patience, self._child.kill)
        killer.daemon = True
        killer.start()

    def _await_change(self) -> None:
        """Wait until a file changes, or for a signal."""
        logger.error("The code could not be loaded. Waiting for a change.")
        watch = FileWatch(self._news.set)
        watch.start_with_folders()
        self._news.wait()
        watch.stop()
        self._news.clear()
