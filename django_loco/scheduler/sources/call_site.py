"""Tells a call that declares a schedule for all processes from one that only its own process would see.

Modules are imported by each process, so a scheduler sees the schedules that they declare. A request, a job or a shell
calls in one process only, and usually not in that of the scheduler. Other calls count as right: a command may declare
schedules and start a scheduler by itself, and ``AppConfig.ready()`` runs in each process. An asynchronous view below
WSGI counts as such a call: asgiref runs it as it runs an asynchronous command.
"""

from __future__ import annotations

import inspect
from types import FrameType

from asgiref.sync import SyncToAsync

_IMPORT = "importlib._bootstrap"
_REQUEST = ("django.core.handlers.base", ("get_response", "get_response_async"))
_SHELL = "django.core.management.commands.shell"
_JOBS = "django_loco.worker.execution."


def is_of_one_process() -> bool:
    """Return whether a request, a job or a shell has made this call, and not the import of a module by it."""
    frame = inspect.currentframe()
    while frame:
        if frame.f_globals.get("__name__") == _IMPORT:
            return False
        if _serves(frame):
            return True
        frame = frame.f_back
    # A synchronous view or task below asyncio has a thread, whose stack does not show who waits for it.
    return SyncToAsync.thread_sensitive_context.get(None) is not None


def _serves(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    request, functions = _REQUEST
    return module == _SHELL or module.startswith(_JOBS) or (module == request and frame.f_code.co_name in functions)
