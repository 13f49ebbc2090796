"""The very end of a process, which depends on nothing that can hang.

What can hang there: a lock that somebody holds who writes a log line; ``multiprocessing``, which waits for its
processes at the end of the interpreter; other functions of ``atexit``; threads that are no daemons; what is left in a
stream that nobody reads; a job inside a C function that does not let go of the interpreter.
"""

from __future__ import annotations

import atexit
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from ..core.threads import DaemonThread
from ..log import streams

#: Seconds by which an end may be late before it is enforced.
SPARE = 1.0
#: Seconds that the last lines have to get out.
FLUSH = streams.DRAIN_SECONDS


def enforce(seconds: float) -> None:
    """End this process in ``seconds`` from now, with exit code 1, if it has not ended by itself; the last call counts.

    That is done by a thread of ``faulthandler``, which needs neither the interpreter nor a lock of it.
    """
    faulthandler.dump_traceback_later(max(seconds, SPARE), exit=True, file=_NOWHERE)


def end_within(seconds: float, code: int) -> None:
    """Let the interpreter end by itself, but end this process with ``code`` when that takes longer than ``seconds``."""
    enforce(seconds + SPARE)
    timer = threading.Timer(seconds, exit_now, [code])
    timer.daemon = True
    with suppress(RuntimeError):  # no thread can be started any more
        timer.start()


def exit_now(code: int) -> None:
    """End this process with ``code``; what is to be written has a moment to get out."""
    enforce(FLUSH + SPARE)
    thread = DaemonThread(target=_flush, name="loco-flush")
    with suppress(RuntimeError):  # no thread can be started any more
        thread.start()
        thread.join(FLUSH)
    os._exit(code)


def at_interpreters_end(function: Callable[[], object]) -> None:
    """Have ``function`` called when the main thread has ended, before ``atexit`` functions and the wait for threads."""
    # There is no public name for that moment.
    getattr(threading, "_register_atexit", atexit.register)(function)


def _flush() -> None:
    streams.drain()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # it is full, closed, or its reader is gone
            stream.flush()
    logging.shutdown()


_NOWHERE = os.open(os.devnull, os.O_WRONLY)
