"""Restarts a command when its code changes: the ``Reloader`` is the parent, its child runs the command.

Reloads
-------
The parent starts the same command again as its child, marked by Django's ``RUN_MAIN``. The child watches files with
Django's own reloader. When a file changes, the child shuts down within ``RELOAD_TIMEOUT_SECONDS``, exits with
``REPLACE``, and the parent starts the next child. A child whose code cannot be imported exits before it can watch
files; then the parent watches them.

Signals
-------
The parent passes its signals on through the control channel. A child whose parent has died shuts down, so that no
invisible site keeps the port. (Django's own parent does not pass SIGTERM on, and kills its child a quarter of a second
after Ctrl-C.)
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from django.apps import apps
from django.utils import autoreload

from ...core.threads import DaemonThread
from ...log.output.bounded import get_bounded_logger
from ...shutdown import AFTER_DEADLINE_SECONDS, CLEAN, FORCED
from ...tasks.loading import is_installed
from ..children.child import Child, start_in_terminal
from ..exit_codes import REPLACE, shell_code
from ..signals.escalation import Level, signals_after
from ..signals.handlers import SignalHandlers
from ..stack_dump import log_stacks
from .code_folders import code_folders

#: The environment variable that is set for a child if an earlier child has served.
RELOADED_VARIABLE = "DJANGO_LOCO_AGAIN"

logger = get_bounded_logger("django_loco.servers")


def is_child() -> bool:
    """Whether this process runs the command, and is not the parent of that process."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def is_reloaded() -> bool:
    """Whether an earlier child has served."""
    return os.environ.get(RELOADED_VARIABLE) == "true"


class CodeWatch:
    """Watches files in a thread and calls ``on_change`` once, when one changes."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._reloader = autoreload.get_reloader()

    def start(self, main: DaemonThread) -> None:
        """Watch the files of all modules, once the apps are loaded. ``main`` is the thread that loads them."""
        autoreload.ensure_echo_on()
        self._begin(lambda: self._reloader.run(main))

    def start_with_folders(self, since: float = math.inf) -> None:
        """Watch the files of all modules, and the files in the folders of the project and its apps.

        A file that has changed after ``since`` (seconds since 1970) counts as well.
        """
        self._begin(lambda: self._watch_folders(since))

    def stop(self) -> None:
        """Stop watching."""
        self._reloader.stop()

    def _watch_folders(self, since: float) -> None:
        for app in apps.get_app_configs():
            if not is_installed(Path(app.path)):
                self._reloader.watch_dir(app.path, "**/*.py")
        for folder in code_folders():
            self._reloader.watch_dir(folder, "*.py")
        if since < math.inf:
            self._run_until_changed(since)
        else:
            self._reloader.run_loop()

    def _run_until_changed(self, since: float) -> None:
        """Look at the times of the files as well: Django's reloader does not see new files."""
        looks = self._reloader.tick()
        while not self._reloader.should_stop:
            if self._has_changed(since):
                self._on_change()
                return
            next(looks)

    def _has_changed(self, since: float) -> bool:
        now = time.time()
        for path in self._reloader.watched_files():
            with suppress(OSError):  # it has just been deleted
                if since < path.stat().st_mtime <= now:
                    return True
        return False

    def _begin(self, loop: Callable[[], None]) -> None:
        DaemonThread(target=self._run, args=(loop,), name="loco-reload").start()

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except SystemExit:  # how Django's reloader reports a change
            self._on_change()
        except Exception:
            logger.exception("Files are no longer watched for changes")


class Reloader:
    """Starts the command as a child process, and starts it again whenever its code has changed.

    1. ``run`` starts a child and waits for its end.
    2. After exit code ``REPLACE`` the next child is started. After a child that could not load its code, the next one
       is started when a file changes. After any other exit code the parent also ends, with the same code.
    3. Signals are passed on to the child. A child that does not stop in time is killed, and so is a child at the third
       signal.
    """

    def __init__(self, shutdown_timeout: float, *, others: Sequence[signal.Signals] = ()) -> None:
        """``shutdown_timeout``: ``LOCO["SHUTDOWN_TIMEOUT"]``, in seconds. ``others``: further signals to pass on."""
        self._others = others
        self._kill_after_seconds = shutdown_timeout + 2 * AFTER_DEADLINE_SECONDS
        self._signals = 0
        self._has_served = False
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._began = 0.0

    def run(self) -> int:
        """Return the exit code of the last child."""
        others = {number: partial(self._pass_on, number.name) for number in self._others}
        with SignalHandlers(self._on_signal, others | {signal.SIGTTIN: self._show_stacks}, is_last=True):
            while not self._is_stopping():
                code, loaded = self._run_child()
                if code == REPLACE:
                    continue
                if loaded:
                    return FORCED if code and self._is_stopping() else code
                if not self._is_stopping():
                    self._await_change()
        return CLEAN

    def _is_stopping(self) -> bool:
        return self._signals > 0

    def _run_child(self) -> tuple[int, bool]:
        """Run a child to its end; return its exit code (as a shell would), and whether it could load its code."""
        variables = {autoreload.DJANGO_AUTORELOAD_ENV: "true"}
        variables |= {RELOADED_VARIABLE: "true"} if self._has_served else {}
        self._began = time.time()
        with self._lock:
            child = self._child = start_in_terminal(variables)
            if self._signals:
                self._tell_child("SIGTERM")
        code = child.wait()
        self._has_served |= child.is_ready
        return shell_code(code), child.is_loaded

    def _on_signal(self, name: str) -> None:
        with self._lock:
            before, self._signals = self._signals, signals_after(name, self._signals)
            if self._signals > before:
                self._tell_child(name)
        self._news.set()

    def _show_stacks(self) -> None:
        log_stacks()
        self._pass_on("SIGTTIN")

    def _pass_on(self, name: str) -> None:
        with self._lock:
            if self._child and self._child.receive().is_loaded:
                self._child.send(name)

    def _tell_child(self, name: str) -> None:
        if self._child is None:
            return
        if self._signals >= Level.KILL or not self._child.receive().is_loaded:
            self._child.kill()  # It has not loaded its code, so it has no work to lose.
            return
        self._child.send(name)
        killer = threading.Timer(self._kill_after_seconds, self._child.kill)
        killer.daemon = True
        with suppress(RuntimeError):  # no thread can be started any more; the third signal still kills the child
            killer.start()

    def _await_change(self) -> None:
        """Wait until a file changes or a signal arrives."""
        logger.error("The code could not be loaded. Waiting for a change.")
        watch = CodeWatch(self._news.set)
        watch.start_with_folders(self._began)  # the file may have been corrected before the child ended
        self._news.wait()
        watch.stop()
        self._news.clear()
