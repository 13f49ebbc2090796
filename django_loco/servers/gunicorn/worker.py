"""Makes the embedded runtime of a gunicorn worker process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from signal import SIGQUIT, SIGTERM
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from ...core.lifecycle.inherited_descriptors import closed_in_copies
from ...process.embedded import EmbeddedRuntime, HostServer, make_runtime, take_ownership

#: How long jobs may run after the last request when gunicorn recycles a process (``max_requests``). It is short because
#: gunicorn starts the next process only when this one has ended, and meanwhile has one process less.
RECYCLE_SECONDS = 1.0
#: The exit code of a worker process that cannot start. It makes gunicorn give up.
BOOT_ERROR = 3


def make_gunicorn_runtime(worker: Any, on_cut: Callable[[], object]) -> EmbeddedRuntime:
    """Return the runtime of this process. gunicorn must have loaded the site and installed its signal handlers.

    ``on_cut`` is called when requests are dropped because a signal asked for the end. Exits on a wrong setting, so that
    gunicorn gives up.
    """
    # A copy, because gunicorn closes its own descriptor before ``end``, and kills a process that does not touch this
    # file.
    heartbeat_file = os.dup(worker.tmp.fileno())

    def beat() -> None:
        now = time.monotonic()
        os.utime(heartbeat_file, (now, now))

    host = HostServer(
        is_ending=lambda: not worker.alive,
        stop_signal=SIGTERM,
        cut_signal=SIGQUIT,
        on_cut=on_cut,
        job_seconds=RECYCLE_SECONDS,
        beat=beat,
        is_last=True,
    )
    try:
        if not apps.ready:
            raise CommandError("The application that gunicorn loaded does not call django.setup().")
        runtime = make_runtime(
            host,
            url=", ".join(str(socket) for socket in worker.sockets),
            remark=f"   gunicorn {worker.cfg.worker_class_str}, workers: {worker.cfg.workers}",
            shows=worker.age == 1,
            grace=("graceful_timeout", worker.cfg.graceful_timeout),
        )
    except CommandError as error:
        sys.stderr.write(f"CommandError: {error}\n")
        sys.exit(BOOT_ERROR)
    take_ownership()
    for listener in worker.sockets:
        closed_in_copies(listener.sock)
    return runtime
