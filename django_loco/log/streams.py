"""Writes log lines to stdout and stderr without blocking, even if the reader of a pipe or terminal has stopped.

With a log collector that hangs, ``| less`` or a terminal after Ctrl-S, a write may block for ever, and so do all
threads that log after it. The descriptor cannot be made non-blocking, because other processes share it.
"""

from __future__ import annotations

import atexit
import os
import select
import stat
import sys
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import Any, TextIO

from ..core.threads import DaemonThread
from .safe import get_logger

#: The size of the lines that wait for a blocked stream.
MAX_KEPT_BYTES = 1 << 20
#: After this time without room a stream counts as blocked.
BLOCKED_AFTER_SECONDS = 1.0
#: The time for waiting lines at the end of the process.
DRAIN_SECONDS = 0.5
#: A write of up to this size to a pipe is atomic (POSIX).
PIPE_BYTES = select.PIPE_BUF

logger = get_logger("django_loco.log")


class NonBlockingStream:
    """A stream for ``logging.StreamHandler`` that does not block.

    1. If the descriptor has room, the thread that logs writes the line.
    2. Otherwise the line is kept, and a thread of the stream writes it as soon as there is room.
    3. A line beyond ``MAX_KEPT_BYTES`` is dropped and counted, and so is one that raises an error (a full disk, a
       reader that is gone). The count is logged when lines can be written again.
    """

    def __init__(self, stream: TextIO) -> None:
        """Raises ``OSError`` if ``stream`` has no descriptor."""
        self.stream = stream
        self.dropped = 0
        """The number of lines dropped so far."""
        self._reported = 0
        self._encoding = stream.encoding or "utf-8"
        self._descriptor, self._waits = _open_descriptor(stream.fileno())
        weakref.finalize(self, os.close, self._descriptor).atexit = False  # more lines may follow
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._full_since: float | None = None
        # Reentrant like those of logging: the garbage collector and signal handlers may log during a write.
        self._lock = threading.RLock()
        self._is_writing = False
        self._wake = threading.Event()
        self._thread: DaemonThread | None = None
        _streams.add(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write ``text``, or keep or drop it; return its length."""
        data = text.encode(self._encoding, "backslashreplace")
        with self._lock:
            if self._kept or self._is_writing:
                self._keep(data)
            elif rest := self._put(data):
                self._keep(rest, is_rest=True)
        return len(text)

    def flush(self) -> None:
        """Do nothing, because ``write`` does not buffer."""

    @property
    def is_blocked(self) -> bool:
        """Whether it has had no room for ``BLOCKED_AFTER_SECONDS``."""
        if not self._kept:  # there may have been no line for a while
            self._full_since = None if self._takes(0) else self._full_since or time.monotonic()
        since = self._full_since
        return since is not None and time.monotonic() - since > BLOCKED_AFTER_SECONDS

    def drain(self, seconds: float) -> None:
        """Write the kept lines, for up to ``seconds``."""
        until = time.monotonic() + seconds
        while self._kept and self._takes(max(0.0, until - time.monotonic())):
            self._write_kept()

    def _put(self, data: bytes) -> bytes:
        """Write as much as the descriptor has room for; return the rest."""
        self._is_writing = True
        try:
            while data and (not self._waits or self._takes(0)):
                written = os.write(self._descriptor, data[:PIPE_BYTES] if self._waits else data)
                data = b"" if written == len(data) else data[written:]
        except BlockingIOError:
            pass
        except OSError:
            self.dropped += 1
            return b""
        finally:
            self._is_writing = False
        if data:
            self._full_since = self._full_since or time.monotonic()
        else:
            self._full_since = None
            if self.dropped > self._reported:
                self._wake_thread()
        return data

    def _keep(self, data: bytes, *, is_rest: bool = False) -> None:
        """Keep ``data`` to be written last. The rest of a line that was begun is to be written first."""
        if self._size + len(data) > MAX_KEPT_BYTES and not is_rest:
            self.dropped += 1
        else:
            (self._kept.appendleft if is_rest else self._kept.append)(data)
            self._size += len(data)
        self._wake_thread()

    def _takes(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(1000 * seconds))

    def _write_kept(self) -> None:
        with self._lock:
            while self._kept:
                data = self._kept.popleft()
                self._size -= len(data)
                if rest := self._put(data):
                    self._keep(rest, is_rest=True)
                    return

    def _wake_thread(self) -> None:
        self._wake.set()
        if self._thread is None:
            thread = DaemonThread(target=self._run, name="loco-log-stream")
            with suppress(RuntimeError):  # at interpreter shutdown, or if there are too many threads
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._kept:
                if self._takes(BLOCKED_AFTER_SECONDS):
                    self._write_kept()
            self._log_dropped()

    def _log_dropped(self) -> None:
        """Log the number of dropped lines, in the stream's thread: one that logs holds the lock of a handler."""
        if self._full_since is None and (dropped := self.dropped - self._reported):
            self._reported = self.dropped
            logger.warning("Dropped %d log lines that this stream had no room for", dropped)

    def forget(self) -> None:
        """Reset in a forked child: the parent process writes the kept lines."""
        self._kept.clear()
        self._full_since = None
        self._size, self._thread, self._lock, self._is_writing = 0, None, threading.RLock(), False
        self._wake = threading.Event()


_streams: weakref.WeakSet[NonBlockingStream] = weakref.WeakSet()


def nonblocking(stream: Any) -> Any:
    """Return the non-blocking stream for ``stream``; or ``stream`` itself if it has no descriptor."""
    if isinstance(stream, NonBlockingStream):
        return stream
    wrapper = next((each for each in _streams if each.stream is stream), None)
    try:
        return wrapper or NonBlockingStream(stream)
    except (OSError, ValueError):  # a stream in memory, or one that is closed
        return stream


def is_standard(stream: object) -> bool:
    """Whether ``stream`` is stdout or stderr."""
    return getattr(stream, "stream", stream) in (sys.stdout, sys.stderr)


def health() -> dict[str, Any]:
    """Return whether a stream of the log is ``blocked``, and how many lines were ``dropped``."""
    streams = tuple(_streams)
    return {
        "blocked": any(stream.is_blocked for stream in streams),
        "dropped": sum(stream.dropped for stream in streams),
    }


def drain() -> None:
    """Write the kept lines of all streams, for up to ``DRAIN_SECONDS`` each."""
    for stream in tuple(_streams):
        stream.drain(DRAIN_SECONDS)


def _open_descriptor(number: int) -> tuple[int, bool]:
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


def _after_fork() -> None:
    for stream in tuple(_streams):
        stream.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(drain)
