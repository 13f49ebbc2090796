"""Notices at once that a file is written to, with the ``inotify`` of Linux. Other systems have no such file watch."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import weakref
from contextlib import suppress

from ....core.lifecycle.inherited_descriptors import closed_in_copies

#: From ``sys/inotify.h``.
IN_MODIFY = 0x2

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class FileWatch:
    """Readable for a selector when any process of this machine has written to a file since the last ``drain``."""

    def __init__(self, path: str) -> None:
        """Raises ``OSError`` if there is no such file, or the system cannot watch one more, or cannot watch files."""
        if _libc is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), path)
        self._descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), path)
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        self._finalizer.atexit = False
        _checked(_libc.inotify_add_watch(self._descriptor, os.fsencode(path), IN_MODIFY), path)
        closed_in_copies(self)

    def fileno(self) -> int:
        """Return the descriptor that a selector waits for."""
        return self._descriptor

    def drain(self) -> bool:
        """Return whether the file was written to since the last call, without waiting."""
        with suppress(BlockingIOError):
            return bool(os.read(self._descriptor, 4096))
        return False

    def close(self) -> None:
        """Close the descriptor."""
        self._finalizer()


def _checked(result: int, path: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
