"""The standard streams as the log writes to them: nobody is held up by a pipe or a terminal that takes nothing.

A log collector that is stuck, ``| less``, a terminal after Ctrl-S: a write to such a stream waits, for ever if need be,
and whoever logs next waits behind it. The descriptor cannot be set to not wait, as it is shared with other processes.
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

#: Bytes that are kept for a stream which takes nothing at the moment.
MAX_KEPT_BYTES = 1 << 20
#: Seconds after which a stream that takes nothing counts as blocked.
BLOCKED_AFTER_SECONDS = 1.0
#: Seconds that lines have to get out at the end of the process.
DRAIN_SECONDS = 0.5
#: What POSIX lets a pipe take at once, or not at all.
PIPE_BYTES = select.PIPE_BUF

logger = get_logger("django_loco.log")


class NonBlockingStream:
    """A stream for ``logging.StreamHandler`` that writes at once, or later, or never, but does not wait.

    1. What the descriptor takes is written in the thread that logs.
    2. What it does not take is kept, and written by a thread as soon as there is room.
    3. A line beyond ``MAX_KEPT_BYTES`` is dropped and counted, and so is one that raises an error (a full disk, a
       reader that is gone). The count is logged when lines can be written again.
    """

    def __init__(self, stream: TextIO) -> None:
        """Raises ``OSError`` if there is no descriptor behind ``stream``."""
        self.stream = stream
        self.dropped = 0
        """How many lines were dropped in all."""
        self._reported = 0
        self._encoding = stream.encoding or "utf-8"
        self._descriptor, self._waits = _open_descriptor(stream.fileno())
        weakref.finalize(self, os.close, self._descriptor).atexit = False  # there are lines to come then
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._full_since: float | None = None
        # Reentrant, as logging's own: the garbage collector and signal handlers run amid a write, and may log.
        self._lock = threading.RLock()
        self._is_writing = False
        self._wake = threading.Event()
        self._thread: DaemonThread | None = None
        _streams.add(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write ``text``, now or later or never."""
        data = text.encode(self._encoding, "backslashreplace")
        with self._lock:
            if self._kept or self._is_writing:
                self._keep(data)
            elif rest := self._put(data):
                self._keep(rest, is_rest=True)
        return len(text)

    def flush(self) -> None:
        """Do nothing: what can be written has been written."""

    @property
    def is_blocked(self) -> bool:
        """Whether it has taken nothing for a while."""
        if not self._kept:  # Perhaps nobody has logged for a while.
            self._full_since = None if self._takes(0) else self._full_since or time.monotonic()
        since = self._full_since
        return since is not None and time.monotonic() - since > BLOCKED_AFTER_SECONDS

    def drain(self, seconds: float) -> None:
        """Write what is kept, for up to ``seconds``."""
        until = time.monotonic() + seconds
        while self._kept and self._takes(max(0.0, until - time.monotonic())):
            self._write_kept()

    def _put(self, data: bytes) -> bytes:
        """Write what the descriptor takes; return the rest."""
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
        """Keep ``data`` to be written last; the rest of a line that was begun is written first."""
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
            with suppress(RuntimeError):  # the interpreter is about to end, or there are too many
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
        """Log the count; not in the thread that logs, which holds the lock of a handler and would ask for others'."""
        if self._full_since is None and (dropped := self.dropped - self._reported):
            self._reported = self.dropped
            logger.warning("%d log lines were dropped, as this stream did not take them", dropped)

    def forget(self) -> None:
        """Begin anew in a forked copy: what is kept is for the other process to write."""
        self._kept.clear()
        self._full_since = None
        self._size, self._thread, self._lock, self._is_writing = 0, None, threading.RLock(), False
        self._wake = threading.Event()


_streams: weakref.WeakSet[NonBlockingStream] = weakref.WeakSet()


def nonblocking(stream: Any) -> Any:
    """Return what to write log lines to rather than ``stream``: itself, if it is no stream of the system."""
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
    """Return whether a stream is ``blocked`` that the log writes to, and how many lines were ``dropped``."""
    streams = tuple(_streams)
    return {
        "blocked": any(stream.is_blocked for stream in streams),
        "dropped": sum(stream.dropped for stream in streams),
    }


def drain() -> None:
    """Write what is kept, for a moment."""
    for stream in tuple(_streams):
        stream.drain(DRAIN_SECONDS)


def _open_descriptor(number: int) -> tuple[int, bool]:
    """Return a descriptor of our own for the file behind descriptor ``number``, and whether a write to it may wait.

    A pipe or terminal can be opened once more, for us alone, where the system has ``/proc``; then no write waits. Else
    there is the question whether there is room, to be asked before each write. (With several writers that is not quite
    safe.) A file on a disk never waits, and is not to be opened twice: there would be two places in it to write to.
    """
    mode = os.fstat(number).st_mode
    if stat.S_ISFIFO(mode) or os.isatty(number):
        with suppress(OSError):  # no /proc; or the pipe is another user's
            return os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), False
        return os.dup(number), True
    return os.dup(number), stat.S_ISSOCK(mode)


def _after_fork() -> None:
    for stream in tuple(_streams):
        stream.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(drain)
