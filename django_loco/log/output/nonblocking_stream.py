"""A stream for log lines that does not block, even if the reader of its pipe or terminal has stopped.

If a log collector hangs, with ``| less``, or on a terminal after Ctrl-S, a write may block forever. Then all threads
that log after it block, too. The descriptor cannot be made non-blocking, because other processes share it.

A write also releases the interpreter. If ten threads each write a line per job, this costs more than the jobs. So lines
that follow each other closely are written together.
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from ...core.threads import DaemonThread
from ...exceptions import RAISED_INTO_JOBS
from ..plain_text import counted
from ..safe import get_logger
from .descriptors import PIPE_BYTES, block_bytes, has_room, open_descriptor

#: The most bytes of lines that are kept for a blocked stream.
MAX_KEPT_BYTES = 1 << 20
#: After this time without room a stream counts as blocked.
BLOCKED_AFTER_SECONDS = 1.0
#: Lines within this time are written together, once ``gather`` was called.
BLOCK_SECONDS = 0.05

#: A line with its line break, or a function that returns one (or an empty text).
Entry = str | Callable[[], str]

logger = get_logger("django_loco.log")

#: The streams of this process: see ``streams``.
all_streams: weakref.WeakSet[NonBlockingStream] = weakref.WeakSet()


class NonBlockingStream:
    """A stream for ``logging.StreamHandler`` that does not block.

    1. If the descriptor has room, the thread that logs writes the line.
    2. After ``gather`` it does so only for the first line after a pause. Lines within the next ``BLOCK_SECONDS`` are
       gathered, and a thread of the stream writes them together.
    3. If there is no room, lines are kept, and the thread writes them as soon as there is.
    4. A line beyond ``MAX_KEPT_BYTES`` is dropped and counted. So is a line whose write raises an error (a full disk, a
       reader that is gone). The count is logged when lines can be written again.

    Only one thread writes at a time. Other threads leave their lines to it, so they neither wait nor change the order.
    """

    def __init__(self, stream: TextIO) -> None:
        """Raises ``OSError`` if ``stream`` has no descriptor."""
        self.stream = stream
        self.dropped = self._reported = 0  # lines
        self._encoding = stream.encoding or "utf-8"
        self._descriptor, self._waits = open_descriptor(stream.fileno())
        weakref.finalize(self, os.close, self._descriptor).atexit = False  # more lines may follow
        self._block_bytes = block_bytes(self._descriptor)
        self._interval, self._is_within_line, self._is_torn = 0.0, False, False
        self._reset()
        all_streams.add(self)

    def _reset(self) -> None:
        self._gathered: deque[Entry] = deque()
        self._ahead = b""
        self._next_block_at = 0.0
        self._scheduled: tuple[float, Entry] | None = None
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._full_since: float | None = None
        # Reentrant like the locks of logging, because the garbage collector and signal handlers may log during a write.
        self._lock = threading.RLock()
        self._is_writing = self._is_due = False
        self._urgent, self._wake = set[int](), threading.Event()
        self._thread: DaemonThread | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def gather(self) -> None:
        """From now on, write lines that follow each other closely together."""
        self._interval = BLOCK_SECONDS

    def write_at_once(self) -> None:
        """Write the gathered lines, and from now on each line at once."""
        self._interval = self._next_block_at = 0.0
        self._write_gathered()

    def write(self, text: str) -> int:
        """Write ``text``, or keep or drop it. Return its length."""
        self.add(text)
        return len(text)

    def add(self, entry: Entry) -> None:
        """Write a line like ``write``. A function is called by the writing thread when it is the line's turn."""
        self._gathered.append(entry)
        if time.monotonic() < self._next_block_at and not (self._urgent and self._is_urgent()):
            if self._is_due:
                return
            self._is_due = True
            if self._wake_thread():
                return
        self._write_gathered()

    def flush_next(self) -> None:
        """Write the next line of this thread at once, after the gathered lines."""
        self._urgent.add(threading.get_ident())

    def _is_urgent(self) -> bool:
        thread = threading.get_ident()
        is_urgent = thread in self._urgent
        self._urgent.discard(thread)
        return is_urgent

    def schedule_line(self, at: float, entry: Entry) -> None:
        """Add ``entry`` at the time ``at`` (``time.monotonic()``, seconds), or at the end. A later call replaces it."""
        self._scheduled = at, entry
        self._wake_thread()

    def flush(self) -> None:
        """Do nothing, because handlers call this after each line."""

    @property
    def is_blocked(self) -> bool:
        """Whether it has had no room for ``BLOCKED_AFTER_SECONDS``."""
        if not self._kept:  # perhaps no line has come for a while
            self._full_since = None if has_room(self._descriptor, 0) else self._full_since or time.monotonic()
        since = self._full_since
        return since is not None and time.monotonic() - since > BLOCKED_AFTER_SECONDS

    def drain(self, seconds: float) -> None:
        """Write all lines, for up to ``seconds``. From now on write each line at once."""
        until = time.monotonic() + seconds
        self._add_scheduled(until=math.inf)
        if self._lock.acquire(timeout=seconds):  # another thread may be writing
            self._lock.release()
        self.write_at_once()
        while self._kept and has_room(self._descriptor, max(0.0, until - time.monotonic())):
            self._write_kept()

    def _write_gathered(self) -> None:
        """Write the gathered lines, unless another thread is writing: it goes on until no line is left."""
        while self._gathered and self._begin():
            try:
                self._is_due = False
                self._next_block_at = time.monotonic() + self._interval
                while block := self._next_block():
                    if self._kept:
                        self._keep(block)
                    elif rest := self._put(block):
                        self._keep(rest, is_rest=True)
            finally:
                self._end()

    def _begin(self) -> bool:
        """Return whether this thread may write now. If so, it has to call ``_end`` afterwards."""
        if not self._lock.acquire(blocking=False):
            return False
        if self._is_writing:  # an outer call of this same thread
            self._lock.release()
            return False
        self._is_writing = True
        return True

    def _end(self) -> None:
        self._is_writing = False
        self._lock.release()

    def _next_block(self) -> bytes:
        """Return the next lines that fit into one write; empty if no line is left."""
        lines: list[bytes] = []
        size = 0
        while line := self._ahead or self._next_line():
            self._ahead = b""
            if lines and size + len(line) > self._block_bytes:
                self._ahead = line
                break
            lines.append(line)
            size += len(line)
        return b"".join(lines)

    def _next_line(self) -> bytes:
        while self._gathered:
            entry = self._gathered.popleft()
            try:
                text = entry if isinstance(entry, str) else entry()
                if text:
                    return text.encode(self._encoding, "backslashreplace")
            except RAISED_INTO_JOBS:
                raise
            except Exception:  # noqa: BLE001 - nothing may end the thread that writes; an error here cannot be logged
                self.dropped += 1
        return b""

    def _put(self, data: bytes) -> bytes:
        """Write as much as the descriptor has room for. Return the rest."""
        if self._is_torn:
            data = b"\n" + data
        try:
            while data and (not self._waits or has_room(self._descriptor, 0)):
                written = os.write(self._descriptor, data[:PIPE_BYTES] if self._waits else data)
                self._is_torn, self._is_within_line = False, data[written - 1 : written] != b"\n"
                data = b"" if written == len(data) else data[written:]
        except BlockingIOError:
            pass
        except OSError:
            self._is_torn = self._is_within_line
            self.dropped += max(1, data.count(b"\n"))
            return b""
        if data:
            self._full_since = self._full_since or time.monotonic()
        else:
            self._full_since = None
            if self.dropped > self._reported:
                self._wake_thread()
        return data

    def _keep(self, data: bytes, *, is_rest: bool = False) -> None:
        """Keep ``data`` to be written last; with ``is_rest``, the rest of a block, to be written first."""
        if self._size + len(data) > MAX_KEPT_BYTES and not is_rest:
            self.dropped += max(1, data.count(b"\n"))
        else:
            (self._kept.appendleft if is_rest else self._kept.append)(data)
            self._size += len(data)
        self._wake_thread()

    def _write_kept(self) -> None:
        if not self._begin():
            return
        try:
            while self._kept:
                data = self._kept.popleft()
                self._size -= len(data)
                if rest := self._put(data):
                    self._keep(rest, is_rest=True)
                    return
        finally:
            self._end()

    def _wake_thread(self) -> bool:
        """Wake the thread of the stream, and return whether there is one."""
        self._wake.set()
        if self._thread is None:
            thread = DaemonThread(target=self._run, name="loco-log-stream")
            with suppress(RuntimeError):  # at interpreter shutdown, or if there are too many threads
                thread.start()
                self._thread = thread
        return self._thread is not None

    def _run(self) -> None:
        never = threading.Event()
        while True:
            scheduled = self._scheduled
            self._wake.wait(None if scheduled is None else max(0.0, scheduled[0] - time.monotonic()))
            self._wake.clear()
            self._is_due = False  # before reading the lines: a line added later wakes the thread again
            self._add_scheduled(time.monotonic())
            while self._gathered or self._kept:
                # Unlike sleep(), this does not fail if a library fakes the time. A failure would end this thread.
                never.wait(max(0.0, self._next_block_at - time.monotonic()))
                self._write_gathered()
                if self._kept and has_room(self._descriptor, BLOCKED_AFTER_SECONDS):
                    self._write_kept()
            self._log_dropped()

    def _add_scheduled(self, until: float) -> None:
        scheduled = self._scheduled
        if scheduled is not None and scheduled[0] <= until:
            self._scheduled = None
            self._gathered.append(scheduled[1])

    def _log_dropped(self) -> None:
        """Log the number of dropped lines.

        Only in the stream's thread: a thread that logs holds the lock of a handler.
        """
        if self._full_since is None and (dropped := self.dropped - self._reported):
            self._reported = self.dropped
            lines = counted(dropped, "log line", "log lines")
            logger.warning("Dropped %s that this stream had no room for", lines)

    def forget(self) -> None:
        """Reset in a forked child. It gathers no lines until it calls ``gather``, because it may end without notice.

        The parent process writes its own gathered and kept lines.
        """
        self._interval = 0.0
        self._reset()
