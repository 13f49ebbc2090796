"""Where in the code the locks of this process were taken, so that nobody waits for a lock that it holds itself."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from ..exceptions import LockHeld

_OWN_FOLDER = str(Path(__file__).parent)


class Caller(NamedTuple):
    """The thread, or the asyncio task, that runs."""

    thread: int
    task: asyncio.Task[Any] | None

    def blocks(self, other: Caller) -> bool:
        """Return whether ``other`` cannot go on before this one does."""
        if self.task is not None:
            return self.task is other.task
        return self.thread == other.thread


class Held(NamedTuple):
    """A lock that was taken."""

    caller: Caller
    place: str
    """The file and the line."""


_held: dict[tuple[str, str], list[Held]] = {}
_lock = threading.Lock()


def here() -> Held:
    """Return the thread or task that runs, and the line in it outside of this package."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return Held(Caller(threading.get_ident(), task), _place(inspect.currentframe()))


def _place(frame: FrameType | None) -> str:
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def require_not_held(key: tuple[str, str], held: Held) -> None:
    """Raise ``LockHeld`` if the thread or task of ``held`` has the lock ``key``: an alias and a name."""
    with _lock:
        before = next((each for each in _held.get(key, ()) if each.caller.blocks(held.caller)), None)
    if before is not None:
        what = "asyncio task" if before.caller.task is not None else "thread"
        raise LockHeld(
            f"The lock {key[1]!r} is claimed at {held.place} by the {what} that holds it since {before.place}. "
            "It would wait for itself forever. Take a lock once, and pass it on, or choose another name."
        )


def note(key: tuple[str, str], held: Held) -> None:
    """Record that the lock ``key`` was taken."""
    with _lock:
        _held.setdefault(key, []).append(held)


def drop(key: tuple[str, str], held: Held) -> None:
    """Record that it was given back."""
    with _lock:
        rest = [each for each in _held.get(key, ()) if each is not held]
        if rest:
            _held[key] = rest
        else:
            _held.pop(key, None)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)
