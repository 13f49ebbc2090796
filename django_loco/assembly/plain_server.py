"""Resumes jobs in memory under a server that does not know django-loco: plain ``runserver``, or gunicorn without hooks.

1. Jobs that an earlier process kept are resumed when ``runserver`` has bound its port, and under any other server at
   its first request. They are not resumed when the apps are loaded, because every command loads them.
2. When such a process is stopped or reloaded, it does not finish its queue first, as a command does. The jobs are kept
   for the next process.
3. With ``DEBUG``, plain ``runserver`` logs which schedules and jobs it leaves to other processes, if these do not run.
"""

from __future__ import annotations

import math
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.signals import request_started
from django.db import connections
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV, autoreload_started

from ..conf import loco_settings, worker_mode
from ..core import running_tests
from ..core.compat import task_backends
from ..core.threads import DaemonThread
from ..log.plain_text import counted, one_line
from ..log.safe import get_logger
from ..shutdown import RELOAD_TIMEOUT_SECONDS
from ..worker import in_process

#: Seconds between two checks for whether the server has bound its port.
POLL_SECONDS = 0.1
#: How long workers and schedulers that start at the same time as ``runserver`` have to register themselves.
GRACE_SECONDS = 10
#: The folder with the file descriptors of this process.
DESCRIPTORS = Path("/dev/fd")

logger = get_logger("django_loco.runtime")


def resume_when_serving() -> None:
    """Resume the jobs once a server runs in this process."""
    request_started.connect(_on_request, dispatch_uid="django_loco.serving")
    autoreload_started.connect(_on_reloader, dispatch_uid="django_loco.serving")


def _on_request(sender: Any, **kwargs: Any) -> None:
    if running_tests.is_on() or getattr(sender, "__module__", "").startswith("django.test"):
        return
    request_started.disconnect(dispatch_uid="django_loco.serving")
    _note()
    _resume()


def _on_reloader(**kwargs: Any) -> None:
    """Resume for ``runserver`` only.

    Other commands use Django's reloader, too, and ``loco_*`` commands have workers.
    """
    if next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "runserver":
        _note()
        DaemonThread(target=_resume_when_it_listens, name="loco-serving").start()


def _resume_when_it_listens() -> None:
    """Resume once the port is bound: a server that cannot bind it exits at once, and would lose the jobs."""
    while not any(_listens(int(path.name)) for path in DESCRIPTORS.iterdir()):
        time.sleep(POLL_SECONDS)
    _resume()
    if settings.DEBUG:
        time.sleep(GRACE_SECONDS)
        warn_of_idle()


def warn_of_idle() -> None:
    """Log schedules and jobs that this process leaves to a scheduler and workers, if none of these is registered."""
    try:
        for line in _idle():
            logger.warning("%s", line)
    except Exception as error:  # noqa: BLE001 - code that uses the store will report it
        logger.debug("Could not find out what nobody runs: %s", one_line(error))
    finally:
        connections.close_all()


def _idle() -> Iterator[str]:
    from .. import jobs, scheduler  # noqa: PLC0415 - every process imports this module, but few run runserver

    workers, schedulers = jobs.workers(), jobs.schedulers()
    schedules = [each for each in scheduler.upcoming() if not each.paused]
    if schedules and not any(each.is_alive for each in schedulers):
        number = counted(len(schedules), "schedule", "schedules")
        yield f"{number}, but no scheduler in this process: manage.py loco_start --worker --scheduler"
    served = {each.backend for each in workers if each.is_alive}
    modes = {alias: worker_mode(alias, task_backends[alias].options) for alias in jobs.aliases()}
    if idle := [alias for alias, mode in modes.items() if mode == "BackgroundQueue" and alias not in served]:
        yield f"No worker runs for the jobs of {', '.join(idle)}: manage.py loco_start --worker, or loco_worker"


def _note() -> None:
    with _logged():
        reloads = os.environ.get(DJANGO_AUTORELOAD_ENV) == "true"
        in_process.serves(min(RELOAD_TIMEOUT_SECONDS if reloads else math.inf, loco_settings().SHUTDOWN_TIMEOUT))


def _resume() -> None:
    with _logged():
        in_process.resume()


@contextmanager
def _logged() -> Iterator[None]:
    """Log errors instead of raising them: requests must still be answered."""
    try:
        yield
    except Exception:
        logger.exception(
            "Could not resume the jobs that an earlier process kept; they wait until the next job is enqueued"
        )


def _listens(descriptor: int) -> bool:
    with suppress(OSError):  # it is not a socket, or was just closed
        opened = socket.socket(fileno=descriptor)
        try:
            return bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        finally:
            opened.detach()
    return False
