"""The embedded runtime of one gunicorn worker process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from signal import SIGQUIT, SIGTERM
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from ...core.lifecycle.fork import closed_in_copies
from ...log.safe import get_logger
from ...process.embedded import EmbeddedRuntime, HostServer, claim, make_runtime
from ...process.exit import exit_now
from ...shutdown import CLEAN, FORCED

#: How long jobs may run after the last request when gunicorn recycles a process (``max_requests``): until the process
#: has ended, gunicorn starts no other, and there is one less to answer requests.
RECYCLE_SECONDS = 1.0
#: The exit code of a worker process that cannot start, after which gunicorn gives up.
BOOT_ERROR = 3

logger = get_logger("django_loco.servers")


class GunicornRuntime:
    """Runs the ``EmbeddedRuntime`` of a gunicorn worker process.

    1. ``start`` starts it, when gunicorn has loaded the site and installed its signal handlers.
    2. ``end`` waits for the shutdown, when gunicorn has answered its last request.
    3. ``leave`` exits without waiting for threads that are not done.
    """

    def __init__(self, worker: Any, on_cut: Callable[[], object] = lambda: None) -> None:
        """``on_cut`` is called when requests are dropped because a signal asked for the end."""
        self._worker, self._on_cut = worker, on_cut
        self._pid = os.getpid()
        self._runtime: EmbeddedRuntime | None = None
        # gunicorn closes its own before ``end``, and kills a process that does not touch this file.
        self._sign_of_life = os.dup(worker.tmp.fileno())

    def lives_in(self, worker: Any) -> bool:
        """Whether this is the process of ``worker``."""
        return self._pid == os.getpid() == int(worker.pid)

    @property
    def was_asked(self) -> bool:
        """Whether a signal asked for the end."""
        return self._runtime is not None and self._runtime.was_asked

    def start(self) -> None:
        """Start the runtime. On a wrong setting, exit so that gunicorn gives up."""
        worker = self._worker
        host = HostServer(
            is_ending=lambda: not worker.alive,
            stop_signal=SIGTERM,
            cut_signal=SIGQUIT,
            on_cut=self._on_cut,
            job_seconds=RECYCLE_SECONDS,
            beat=self._beat,
            is_last=True,
        )
        try:
            if not apps.ready:
                raise CommandError("The application that gunicorn loaded does not call django.setup().")
            self._runtime = make_runtime(
                host,
                url=", ".join(str(socket) for socket in worker.sockets),
                remark=f"   gunicorn {worker.cfg.worker_class_str}, workers: {worker.cfg.workers}",
                shows=worker.age == 1,
                grace=("graceful_timeout", worker.cfg.graceful_timeout),
            )
        except CommandError as error:
            sys.stderr.write(f"CommandError: {error}\n")
            sys.exit(BOOT_ERROR)
        claim()
        for listener in worker.sockets:
            closed_in_copies(listener.sock)
        self._runtime.start()

    def end(self) -> int:
        """Wait for the shutdown, and return the exit code."""
        return self._runtime.end() if self._runtime else CLEAN

    def leave(self) -> None:
        """Exit although abandoned threads still run jobs."""
        exit_now(FORCED if self.was_asked else CLEAN)

    def _beat(self) -> None:
        now = time.monotonic()
        os.utime(self._sign_of_life, (now, now))
