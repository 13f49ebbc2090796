"""Isolated workers: processes that run suspects one at a time. A suspect is a job with which workers have died.

Each is a ``loco_worker`` whose ``ProcessIdentity`` marks it as isolated. The control channel tells it about signals,
and about the death of the process that started it. Then it hands its job back, which does not count as a death.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Sequence

from django.conf import settings
from django.utils import autoreload

from ...core import running_tests
from ...queues import Claim
from ...shutdown import AFTER_DEADLINE_SECONDS
from .child import Child, start
from .identity import ProcessIdentity

COMMAND = "loco_worker"


def isolation(alias: str, timeout: float, *, is_command: bool) -> Callable[[Claim], Child] | None:
    """Return a function that starts an isolated worker for ``TASKS[alias]``.

    ``timeout``: ``LOCO["SHUTDOWN_TIMEOUT"]``, in seconds; ``is_command``: whether this process is a management command.
    Returns ``None`` where a new process could not load the same site: the settings are not in a module, or this is
    Django's test environment.
    """
    module = getattr(settings, "SETTINGS_MODULE", None)
    if not module or running_tests.is_on():
        return None
    command = [*_command_line(is_command=is_command), COMMAND, f"--backend={alias}"]

    def begin(claim: Claim) -> Child:
        identity = ProcessIdentity(
            number=0,
            key=secrets.token_hex(4),
            is_isolated=True,
            queues=claim.queues,
            tags=claim.tags,
            python_path=os.environ.get("PYTHONPATH"),
        )
        # The new process searches the same folders for modules. Unlike this process, it never runs under a reloader.
        environment = {"DJANGO_SETTINGS_MODULE": module, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        child = start(identity, command, environment, without=[autoreload.DJANGO_AUTORELOAD_ENV])
        child.stop_seconds = timeout + 2 * AFTER_DEADLINE_SECONDS
        return child

    return begin


def _command_line(*, is_command: bool) -> Sequence[str]:
    """Return how to start a management command: as this process was started, if it is a command."""
    if is_command:
        arguments = autoreload.get_child_arguments()
        return arguments[: len(arguments) - len(sys.argv[1:])]
    return [sys.executable, *(f"-W{option}" for option in sys.warnoptions), "-m", "django"]
