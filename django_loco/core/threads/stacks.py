"""The stacks of threads and of asyncio tasks, as text in the format of a traceback."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from .frames import frames, safe_look


def stacks() -> Iterator[str]:
    """Yield the stack of each thread and then of each asyncio task, as text of several lines."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident in frames():
        yield f"Thread {names.get(ident, ident)}\n{stack_of_thread(ident)}"
    for task in tasks():
        yield f"Task {task.get_name()} in {getattr(task.get_coro(), '__qualname__', task)}\n{stack_of_task(task)}"


def tasks() -> list[asyncio.Task[Any]]:
    """Return the asyncio tasks of all threads: ``asyncio.all_tasks`` knows only the tasks of one event loop."""
    # Not ``isinstance``, which would evaluate lazy objects.
    return [found for found in gc.get_objects() if issubclass(type(found), asyncio.Task) and not found.done()]


def stack_of_thread(ident: int | None) -> str:
    """Return the stack of the thread with that ``ident``; empty if it does not run."""
    with safe_look():
        frame = frames().get(ident or 0)
        return "".join(traceback.format_stack(frame)) if frame else ""


def stack_of_task(task: asyncio.Task[Any]) -> str:
    """Return the stack of a task, down to the innermost coroutine that it awaits."""
    return "".join(line for frame in _frames(task.get_coro()) for line in traceback.format_stack(frame, limit=1))


def _frames(awaited: Any) -> Iterator[FrameType]:
    """Yield the frame of a coroutine, of the awaitable that it awaits, and so on."""
    while awaited is not None:
        frame = next((f for name in ("cr_frame", "gi_frame", "ag_frame") if (f := getattr(awaited, name, None))), None)
        if frame is None:
            return
        yield frame
        awaited = next(
            (a for name in ("cr_await", "gi_yieldfrom", "ag_await") if (a := getattr(awaited, name, None))), None
        )
