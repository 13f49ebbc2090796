"""Jobs in memory under a server that knows nothing of them: plain ``runserver``, gunicorn or uvicorn without our hooks.

1. What an earlier process kept is taken up when ``runserver`` has its port, and by any other server with its first
   request; not when the apps are loaded, which they are in every command.
2. Such a process ends because somebody stops or reloads it. It does not work off what waits, as a command does that has
   come to its end: that is kept for the next one.
"""

from __future__ import annotations

import math
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.signals import request_started
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV, autoreload_started

from ..conf import loco_settings
from ..core import test_environment
from ..core.threads import DaemonThread
from ..log.safe import get_logger
from ..shutdown import RELOAD_TIMEOUT
from ..worker import in_process

#: Seconds between two looks at whether the server has its port.
LOOK_EVERY = 0.1
#: Where the system lists the descriptors of this process.
DESCRIPTORS = Path("/dev/fd")

logger = get_logger("django_loco.runtime")


def watch() -> None:
    """Wait for a server to show itself in this process."""
    request_started.connect(_on_request, dispatch_uid="django_loco.serving")
    autoreload_started.connect(_on_reloader, dispatch_uid="django_loco.serving")


def _on_request(sender: Any, **kwargs: Any) -> None:
    if test_environment.is_on() or getattr(sender, "__module__", "").startswith("django.test"):
        return
    request_started.disconnect(dispatch_uid="django_loco.serving")
    _note()
    _resume()


def _on_reloader(**kwargs: Any) -> None:
    """Other commands use Django's reloader as well, and ours have components of their own."""
    if next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "runserver":
        _note()
        DaemonThread(target=_resume_when_it_listens, name="loco-serving").start()


def _resume_when_it_listens() -> None:
    """A server that finds its port taken ends at once: what it had taken up would be lost."""
    while not any(_listens(descriptor) for descriptor in _descriptors()):
        time.sleep(LOOK_EVERY)
    _resume()


def _note() -> None:
    with _logged():
        reloads = os.environ.get(DJANGO_AUTORELOAD_ENV) == "true"
        in_process.serves(min(RELOAD_TIMEOUT if reloads else math.inf, loco_settings().SHUTDOWN_TIMEOUT))


def _resume() -> None:
    with _logged():
        in_process.resume()


@contextmanager
def _logged() -> Iterator[None]:
    """Requests are answered all the same."""
    try:
        yield
    except Exception:
        logger.exception(
            "Could not resume the jobs that an earlier process kept; they wait until the next job is enqueued"
        )


def _descriptors() -> Iterator[int]:
    return (int(path.name) for path in DESCRIPTORS.iterdir())


def _listens(descriptor: int) -> bool:
    try:
        opened = socket.socket(fileno=descriptor)
    except OSError:  # it is no socket
        return False
    try:
        return bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
    finally:
        opened.detach()
