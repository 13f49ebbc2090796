"""The threads of django-loco. The linter refuses ``threading.Thread`` elsewhere in the package."""

from __future__ import annotations

import asyncio
import threading
from contextvars import Context
from typing import Any

from django.conf import settings
from django.urls import set_script_prefix


class NoThread(RuntimeError):
    """The system allows no more threads."""

    REMEDY = (
        "raise `ulimit -u`, the pids limit of the container or TasksMax of systemd, or the limit of memory "
        "(`ulimit -v`), or lower LOCO['NUM_WORKERS']"
    )


class DaemonThread(threading.Thread):  # noqa: TID251 - the only subclass
    """A daemon thread that inherits no ``contextvars`` from the thread that starts it.

    A worker is often started by the first request or job that needs it, and would keep the context of that request as
    long as the process lives. Python copies the context to new threads on free-threaded builds of 3.14, and on other
    builds with ``-X thread_inherit_context=1``; the SDK of Sentry copies its scopes on every version.
    """

    def __init__(self, **options: Any) -> None:
        """``options`` are the options of ``threading.Thread``."""
        super().__init__(**options, daemon=True)

    def start(self) -> None:
        """Start it. Raises ``NoThread`` if the system allows no more, or ``RuntimeError`` as the interpreter ends."""
        try:
            Context().run(super().start)
        except RuntimeError as error:
            if str(error) != "can't start new thread":
                raise
            raise NoThread(f"{error}: {NoThread.REMEDY}") from None


def use_script_prefix() -> None:
    """Let ``reverse()`` begin with ``FORCE_SCRIPT_NAME`` in this context; Django does it in the main thread only."""
    set_script_prefix("/" if settings.FORCE_SCRIPT_NAME is None else settings.FORCE_SCRIPT_NAME)


def new_context() -> Context:
    """Return an empty context for code of the project, in which ``reverse()`` works as in the main thread.

    Call this in the thread that uses it: values that asgiref keeps in a context may not be visible in other threads.
    """
    context = Context()
    context.run(use_script_prefix)
    return context


def is_on_event_loop() -> bool:
    """Whether the calling thread runs an event loop at the moment."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
