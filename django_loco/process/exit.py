"""Exits a process within a time limit, even if something hangs.

At exit, any of these can hang: a lock held by a thread that writes a log line; ``multiprocessing``, which waits for its
processes; other ``atexit`` functions; threads that are not daemons; output that nobody reads; a job inside a C function
that does not release the interpreter.
"""

from __future__ import annotations

import atexit
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from ..core.lifecycle.leaks import end_pools
from ..core.threads import DaemonThread
from ..log.output import bounded, streams
from ..shutdown import AFTER_DEADLINE_SECONDS, CLEAN, FORCED
from .signals.handlers import STOP_SIGNALS

#: Seconds by which an exit may be late before it is enforced.
LATE_EXIT_SECONDS = 1.0
#: Seconds to write the last log lines.
FLUSH_SECONDS = bounded.DRAIN_SECONDS + streams.DRAIN_SECONDS


def leave(code: int) -> None:
    """Exit with ``code`` after a shutdown, even if threads and processes are left."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if code == FORCED:
        # Abandoned jobs may still run in their threads. A normal exit would remove modules while they run.
        exit_now(code)
    end_within(AFTER_DEADLINE_SECONDS, code)
    if code != CLEAN:
        sys.exit(code)


def enforce(seconds: float) -> None:
    """Exit with code 1 after ``seconds``, unless the process has ended by then. A later call replaces an earlier one.

    A thread of ``faulthandler`` does this. It needs neither the interpreter nor its lock. If the thread cannot be
    started, nothing is enforced.
    """
    global _enforced_at
    _enforced_at = time.monotonic() + seconds
    with suppress(RuntimeError):  # no thread can be started any more; the shutdown goes on
        faulthandler.dump_traceback_later(max(seconds, LATE_EXIT_SECONDS), exit=True, file=_NOWHERE)


def end_within(seconds: float, code: int) -> None:
    """Let the interpreter end normally, but exit with ``code`` if that takes longer than ``seconds``.

    After the ``atexit`` functions, no Python thread can exit with ``code`` any more. The rest of the exit takes seconds
    on a busy machine. It may take the time that the shutdown has left.
    """
    enforce(max(seconds, _enforced_at - time.monotonic()) + LATE_EXIT_SECONDS)
    timer = threading.Timer(seconds, exit_now, [code])
    timer.daemon = True
    with suppress(RuntimeError):  # no thread can be started any more
        timer.start()


def exit_now(code: int) -> None:
    """Exit with ``code`` at once, after writing the last log lines."""
    enforce(FLUSH_SECONDS + LATE_EXIT_SECONDS)
    thread = DaemonThread(target=_flush, name="loco-flush")
    with suppress(RuntimeError):  # no thread can be started any more
        thread.start()
        thread.join(FLUSH_SECONDS)
    end_pools()
    os._exit(code)


def at_interpreters_end(function: Callable[[], object]) -> None:
    """Call ``function`` after the main thread's end, before ``atexit`` functions and before threads are joined."""
    # Python has no public function for this moment.
    getattr(threading, "_register_atexit", atexit.register)(function)


def _flush() -> None:
    bounded.drain()
    streams.drain()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # full, closed, or without a reader
            stream.flush()
    logging.shutdown()


_enforced_at = 0.0
_NOWHERE = os.open(os.devnull, os.O_WRONLY)
