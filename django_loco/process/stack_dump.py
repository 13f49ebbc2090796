"""Where everything is right now: what a process that seems to hang is asked for by ``SIGTTIN``."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ..log.bounded import get_bounded_logger

logger = get_bounded_logger(__name__)


def log_stacks() -> None:
    """Log the stacks of all threads, and of all asyncio tasks that have not ended, as one record."""
    logger.warning("What every thread and asyncio task is at:\n%s", "\n".join(stacks()))


def stacks() -> Iterator[str]:
    """Yield the stack of each thread and then of each asyncio task, as text of several lines."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - Python documents it
        yield f"Thread {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}"
    for task in tasks():
        yield f"Task {task.get_name()} in {getattr(task.get_coro(), '__qualname__', task)}\n{_story(task)}"


def tasks() -> list[asyncio.Task[Any]]:
    """Return the asyncio tasks of all threads: ``asyncio.all_tasks`` knows only those of one event loop."""
    # Not ``isinstance``, which asks lazy objects for their class, and so makes them.
    return [found for found in gc.get_objects() if issubclass(type(found), asyncio.Task) and not found.done()]


def _story(task: asyncio.Task[Any]) -> str:
    return "".join(line for frame in _frames(task.get_coro()) for line in traceback.format_stack(frame, limit=1))


def _frames(awaited: Any) -> Iterator[FrameType]:
    """Yield the frame of a coroutine, of what it awaits, of what that awaits and so on."""
    while awaited is not None:
        frame = next((f for name in ("cr_frame", "gi_frame", "ag_frame") if (f := getattr(awaited, name, None))), None)
        if frame is None:
            return
        yield frame
        awaited = next(
            (a for name in ("cr_await", "gi_yieldfrom", "ag_await") if (a := getattr(awaited, name, None))), None
        )
