"""The streams of a process, and the thread that looks for changes on behalf of all of them.

1. ``listen`` gives out at most ``LIMIT`` streams. The first stream starts a thread.
2. The thread computes the change mark every ``LOOK_SECONDS``, with its own connection to each database. When the mark
   has changed, it wakes the streams, each in its event loop.
3. At the first signal of a shutdown all streams end, and no more are given out. The server waits for its requests, but
   must not wait for streams.
4. The thread ends with the last stream, and closes its connections.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import connections

from ... import shutdown
from ...core.threads import DaemonThread
from ...queues.timeouts import store_timeout
from .mark import AWAY, change_mark

#: The most streams of a process.
LIMIT = 20
LOOK_SECONDS = 0.5
#: How often a stream tells its page to update if a store cannot tell whether it has changed.
UNKNOWN_SECONDS = 2.0
#: How long a store may take to answer the thread.
STORE_SECONDS = 2.0
#: The ``order`` of the hook that ends the streams: before all other hooks, which may take long.
FIRST = -1_000_000


class Stream:
    """One stream, in the event loop that created it."""

    def __init__(self) -> None:
        self.mark = ""
        """The last mark that was seen; empty before the first look."""

        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()

    def wake(self, mark: str = "") -> None:
        """Tell it a new mark; without a mark, tell it to end. May be called from any thread."""
        with suppress(RuntimeError):  # its loop, and so the stream, has ended
            self._loop.call_soon_threadsafe(self._note, mark)

    def _note(self, mark: str) -> None:
        self.mark = mark or self.mark
        self._news.set()

    async def marks(self, known: str, life: float, heartbeat: float) -> AsyncIterator[str]:
        """Yield each mark that differs from the previous one (at first ``known``), for ``life`` seconds.

        Yields an empty text after each ``heartbeat`` seconds without a mark.
        """
        end = self._loop.time() + life
        while not shutdown.stopping() and (rest := end - self._loop.time()) > 0:
            self._news.clear()
            if self.mark not in ("", known):
                known = self.mark
                yield known
                continue
            try:
                await asyncio.wait_for(self._news.wait(), min(heartbeat, rest))
            except TimeoutError:
                yield ""


class Streams:
    """All streams of a process, and the thread that looks for changes."""

    def __init__(self, look: Callable[[], str] = change_mark) -> None:
        """``look`` returns the change mark."""
        self._look = look
        self._news = threading.Condition()
        self._streams: set[Stream] = set()
        self._thread: DaemonThread | None = None
        self._mark = ""

    def __len__(self) -> int:
        """Return how many streams there are."""
        return len(self._streams)

    @property
    def is_full(self) -> bool:
        """Whether no stream can be added: there are ``LIMIT`` streams, or the process shuts down."""
        return len(self) >= LIMIT or shutdown.stopping()

    @contextmanager
    def listen(self) -> Iterator[Stream | None]:
        """Give out a stream, in the running event loop, for the ``with`` block; ``None`` if there is no room."""
        stream = Stream()
        with self._news:
            if self.is_full:
                found = None
            else:
                self._ensure_thread()  # the thread reads the streams only after this block
                found = stream
                self._streams.add(stream)
                stream.mark = self._mark
        try:
            yield found
        finally:
            with self._news:
                self._streams.discard(stream)
                self._news.notify_all()

    def end(self, _context: shutdown.Context) -> None:
        """End all streams: a hook of the shutdown."""
        with self._news:
            self._news.notify_all()
            for stream in self._streams:
                stream.wake()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            thread = DaemonThread(target=self._run, name="loco-dashboard")
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        try:
            with store_timeout(STORE_SECONDS):
                while self._is_wanted():
                    mark = self._look()
                    if mark == AWAY:  # Django would keep using a lost connection
                        connections.close_all()
                    self._tell(mark or f"unknown-{int(time.monotonic() / UNKNOWN_SECONDS)}")
        finally:
            connections.close_all()

    def _tell(self, mark: str) -> None:
        with self._news:
            if mark != self._mark:
                self._mark = mark
                for stream in self._streams:
                    stream.wake(mark)
            self._news.wait_for(self._is_over, LOOK_SECONDS)

    def _is_over(self) -> bool:
        return not self._streams or shutdown.stopping()

    def _is_wanted(self) -> bool:
        """Return whether there are streams.

        If not, the thread ends, and the next stream starts a new one without a mark.
        """
        with self._news:
            if self._is_over():
                self._thread, self._mark = None, ""
                return False
            return True


streams = Streams()
shutdown.before_server_shutdown(order=FIRST)(streams.end)
