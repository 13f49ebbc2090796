"""Forked copies of this process: what of ours they must not keep.

``os.fork``, and ``multiprocessing`` where it forks (its default on Linux up to Python 3.13), copy every descriptor. A
copy may outlive this process. If it kept a port, the next process could not listen there; if it kept the end of a pipe,
whoever reads the other end would wait for it.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol, TypeVar


class Closable(Protocol):
    """A socket, for example."""

    def close(self) -> object:
        """Close it."""


Kept = TypeVar("Kept", bound=Closable)

_ours: weakref.WeakSet[Closable] = weakref.WeakSet()


def closed_in_copies(thing: Kept) -> Kept:
    """Return ``thing``, which will be closed in each copy of this process that is forked from now on."""
    _ours.add(thing)
    return thing


def _close() -> None:
    for thing in tuple(_ours):
        thing.close()
    _ours.clear()


os.register_at_fork(after_in_child=_close)
