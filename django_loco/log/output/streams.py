"""The streams that this process writes log lines to: what all of them do at its end, and in a fork."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from .nonblocking_stream import NonBlockingStream, all_streams

#: The time for waiting lines at the end of the process, for each stream.
DRAIN_SECONDS = 0.5


def nonblocking(stream: Any) -> Any:
    """Return the non-blocking stream for ``stream``; or ``stream`` itself if it has no descriptor."""
    if isinstance(stream, NonBlockingStream):
        return stream
    wrapper = next((each for each in all_streams if each.stream is stream), None)
    try:
        return wrapper or NonBlockingStream(stream)
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return stream


def is_standard(stream: object) -> bool:
    """Whether ``stream`` is stdout or stderr."""
    return getattr(stream, "stream", stream) in (sys.stdout, sys.stderr)


def health() -> dict[str, Any]:
    """Return whether a stream of the log is ``blocked``, and how many lines were ``dropped``."""
    streams = tuple(all_streams)
    return {
        "blocked": any(stream.is_blocked for stream in streams),
        "dropped": sum(stream.dropped for stream in streams),
    }


def write_at_once() -> None:
    """From now on write each line at once, because the process is about to end, perhaps by a signal."""
    for stream in tuple(all_streams):
        stream.write_at_once()


def drain() -> None:
    """Write the kept lines of all streams, for up to ``DRAIN_SECONDS`` each."""
    for stream in tuple(all_streams):
        stream.drain(DRAIN_SECONDS)


def _after_fork() -> None:
    for stream in tuple(all_streams):
        stream.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(drain)
