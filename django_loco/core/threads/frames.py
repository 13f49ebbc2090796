"""What other threads execute at the moment, read safely on every Python.

On Python 3.11 the garbage collector runs wherever an object is made, also inside the functions that look at the frames
of other threads. If a finalizer or a callback of the collector is written in Python, other threads may run before such
a function returns. Then the process hangs (https://github.com/python/cpython/issues/106883), or it crashes because the
frame is gone. So the collector is paused there. Newer versions run it between bytecodes only.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any


class CollectorPause:
    """Pauses the garbage collector for one thread at a time, and leaves it as it was."""

    def __init__(self) -> None:
        """Each process has one: a copy that is forked in a pause resumes the collector."""
        self._lock = threading.RLock()  # a signal handler may look while the main thread does
        self._is_on = False
        os.register_at_fork(after_in_child=self._resume_after_fork)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Pause the collector for the ``with`` block, unless the project has turned it off."""
        with self._lock:
            if not gc.isenabled():  # this thread may have paused it already
                yield
                return
            self._is_on = True
            gc.disable()
            try:
                yield
            finally:
                gc.enable()
                self._is_on = False

    def _resume_after_fork(self) -> None:
        self._lock = threading.RLock()
        if self._is_on:
            self._is_on = False
            gc.enable()


def _always() -> AbstractContextManager[None]:
    return nullcontext()


#: ``with safe_look():`` around code that follows the ``f_back`` of frames of other threads.
safe_look = CollectorPause().hold if sys.version_info < (3, 12) else _always


def frames() -> dict[int, FrameType]:
    """Return the innermost frame of each thread by its ident. Follow ``f_back`` only in the same ``safe_look``."""
    with safe_look():
        return sys._current_frames()  # noqa: SLF001, TID251 - public for this purpose, says its documentation


def exception_of(ident: int | None) -> BaseException | None:
    """Return the exception that the thread with that ``ident`` handles at the moment."""
    with safe_look():
        found: Any = sys._current_exceptions().get(ident or 0)  # noqa: SLF001, TID251 - as above
    error: BaseException | None = found[1] if isinstance(found, tuple) else found  # a tuple on Python 3.11
    return error
