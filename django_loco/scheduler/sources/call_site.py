"""Distinguishes calls that declare a schedule for all processes from calls that only their own process would see.

Modules are imported by each process, so a scheduler sees the schedules that they declare. A request, a job or a shell
makes its call in one process only, and usually not in the scheduler's. Other calls are accepted: a command may declare
schedules and start a scheduler itself, and ``AppConfig.ready()`` runs in each process. An asynchronous view below WSGI
is accepted, too, because asgiref runs it in the same way as an asynchronous command.
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
    """Return whether a request, a job or a shell makes this call itself, and not a module that it imports."""
    frame = inspect.currentframe()
    while frame:
        if frame.f_globals.get("__name__") == _IMPORT:
            return False
        if _serves(frame):
            return True
        frame = frame.f_back
    # Below asyncio a synchronous view or task runs in a thread, and the thread's stack does not show its caller.
    return SyncToAsync.thread_sensitive_context.get(None) is not None


def _serves(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    request, functions = _REQUEST
    return module == _SHELL or module.startswith(_JOBS) or (module == request and frame.f_code.co_name in functions)
