"""Opens the file behind a stream so that writes to it do not block."""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress

#: A write of up to this size to a pipe is atomic (POSIX): lines of several processes do not mix.
PIPE_BYTES = select.PIPE_BUF
#: The size of a write to a file.
FILE_BYTES = 1 << 16


def open_descriptor(number: int) -> tuple[int, bool]:
    """Return a private descriptor of the file behind descriptor ``number``, and whether a write to it may block.

    With ``/proc`` a pipe or terminal is opened again as non-blocking. Without it the stream has to poll for room before
    each write, which is not quite safe if several processes write. A file on a disk does not block. It is duplicated
    rather than opened again, because a second position in the file would overwrite lines.
    """
    mode = os.fstat(number).st_mode
    if stat.S_ISFIFO(mode) or os.isatty(number):
        with suppress(OSError):  # no /proc, or the pipe belongs to another user
            return os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), False
        return os.dup(number), True
    return os.dup(number), stat.S_ISSOCK(mode)


def block_bytes(descriptor: int) -> int:
    """Return the number of bytes to write at once to ``descriptor``."""
    return FILE_BYTES if stat.S_ISREG(os.fstat(descriptor).st_mode) else PIPE_BYTES


def has_room(descriptor: int, seconds: float) -> bool:
    """Wait up to ``seconds`` until ``descriptor`` can be written to; return whether it can."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(1000 * seconds))
