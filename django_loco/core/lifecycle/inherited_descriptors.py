"""Closes our descriptors in forks of this process.

``os.fork``, and ``multiprocessing`` where it forks (its default on Linux up to Python 3.13), copy every descriptor. A
fork may outlive this process. If it kept a port, the next process could not bind it; if it kept one end of a pipe, the
reader of the other end would wait for it.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol, TypeVar


class Closable(Protocol):
    """Something that can be closed, such as a socket."""

    def close(self) -> object:
        """Close it."""


Kept = TypeVar("Kept", bound=Closable)

_ours: weakref.WeakSet[Closable] = weakref.WeakSet()


def closed_in_copies(thing: Kept) -> Kept:
    """Return ``thing``, which will be closed in every later fork of this process."""
    _ours.add(thing)
    return thing


def _close() -> None:
    for thing in tuple(_ours):
        thing.close()
    _ours.clear()


os.register_at_fork(after_in_child=_close)
