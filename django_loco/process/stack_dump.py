"""Logs the stacks of all threads and asyncio tasks, on ``SIGTTIN``: for a process that seems to hang."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

from ..core.threads.stacks import stack_of_task, stack_of_thread
from ..log.bounded import get_bounded_logger

logger = get_bounded_logger("django_loco.servers")


def log_stacks() -> None:
    """Log the stacks of all threads, and of all asyncio tasks that have not ended, as one record."""
    logger.warning("Stacks of all threads and asyncio tasks:\n%s", "\n".join(stacks()))


def stacks() -> Iterator[str]:
    """Yield the stack of each thread and then of each asyncio task, as text of several lines."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident in sys._current_frames():  # noqa: SLF001 - Python documents it
        yield f"Thread {names.get(ident, ident)}\n{stack_of_thread(ident)}"
    for task in tasks():
        yield f"Task {task.get_name()} in {getattr(task.get_coro(), '__qualname__', task)}\n{stack_of_task(task)}"


def tasks() -> list[asyncio.Task[Any]]:
    """Return the asyncio tasks of all threads: ``asyncio.all_tasks`` knows only those of one event loop."""
    # Not ``isinstance``, which would evaluate lazy objects.
    return [found for found in gc.get_objects() if issubclass(type(found), asyncio.Task) and not found.done()]
