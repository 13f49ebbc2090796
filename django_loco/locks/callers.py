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
    """The running thread, or asyncio task."""

    thread: int
    task: asyncio.Task[Any] | None

    def blocks(self, other: Caller, *, blocks_thread: bool) -> bool:
        """Return whether this caller cannot go on while ``other`` waits for it.

        ``blocks_thread``: ``other`` blocks its thread while it waits, so that no asyncio task of the thread goes on.
        """
        if self.task is not None and not blocks_thread:
            return self.task is other.task
        return self.thread == other.thread


class Held(NamedTuple):
    """A lock that was taken."""

    caller: Caller
    place: str
    """The file and the line."""


_held: dict[tuple[str, str], list[Held]] = {}
_lock = threading.RLock()  # a finalizer may take a lock while the thread is inside


def here() -> Held:
    """Return the running thread or task, and the line outside of this package that it executes."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return Held(Caller(threading.get_ident(), task), _place(inspect.currentframe()))


def _place(frame: FrameType | None) -> str:
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def require_not_held(key: tuple[str, str], held: Held, *, blocks_thread: bool) -> None:
    """Raise ``LockHeld`` if the holder of the lock ``key``, an alias and a name, could not go on while ``held`` waits.

    ``blocks_thread``: see ``Caller.blocks``.
    """
    with _lock:
        of_key = _held.get(key, ())
        before = next((each for each in of_key if each.caller.blocks(held.caller, blocks_thread=blocks_thread)), None)
    if before is None:
        return
    task = before.caller.task
    if task is not None and task is not held.caller.task:
        raise LockHeld(
            f"The lock {key[1]!r} is claimed at {held.place} in the thread of an event loop. While that waits, the "
            f"asyncio task that holds it since {before.place} cannot go on. Write async with, or call the function by "
            "asyncio.to_thread()."
        )
    raise LockHeld(
        f"The lock {key[1]!r} is claimed at {held.place} by the {'thread' if task is None else 'asyncio task'} that "
        f"holds it since {before.place}. It would wait for itself forever. Take a lock once, and pass it on, or choose "
        "another name."
    )


def note(key: tuple[str, str], held: Held) -> None:
    """Record that the lock ``key`` was taken."""
    with _lock:
        _held.setdefault(key, []).append(held)


def drop(key: tuple[str, str], held: Held) -> None:
    """Record that the lock ``key`` was given back."""
    with _lock:
        rest = [each for each in _held.get(key, ()) if each is not held]
        if rest:
            _held[key] = rest
        else:
            _held.pop(key, None)


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)
