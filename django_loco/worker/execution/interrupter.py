"""Enforces the time limits of sync jobs: a thread that interrupts other threads.

What a time limit can and cannot enforce
----------------------------------------
An async job is cancelled at its timeout, at the ``await`` where it waits. A job that computes without awaiting holds up
the event loop, and with it every other async job, and cannot be interrupted.

In a sync job ``JobTimeout`` is raised between two bytecode instructions. Code that waits in C (a query, a ``sleep``, a
read without a timeout, a long regular expression) is not interrupted; the exception is raised when it returns.

The exception may be raised anywhere, also in the libraries that the job uses, for example between taking a lock and
the ``try`` that releases it. So prefer the limits of those libraries (a ``timeout`` of the HTTP client, the database's
``statement_timeout``), and use this one as the last resort. The database connections of the thread, which an
interruption breaks most easily, are closed.

A job may catch the exception and clean up for ``GRACE_SECONDS``. A job that has not ended by then is given up: the
attempt fails with ``JobTimeout``, another thread or task takes its place, and the code that still runs is left alone,
since Python cannot end it. Its result is discarded. Health counts such jobs as ``abandoned``.

How an interruption stays inside the job
----------------------------------------
``PyThreadState_SetAsyncExc`` makes an exception *pending* in a thread. It is raised there a little later, between any
two bytecode instructions. It must never be raised in the code of the pool, which would end the thread.

1. Each time limit has a gate, a reentrant lock. The interrupter interrupts only while it holds the gate, at most once
   per time limit, and never waits for the gate.
2. The job's thread holds the gate until it is about to enter the job. When the call has ended, it takes the gate for
   good and clears a pending exception. After that nothing can be raised any more.
3. Between the last instruction of the job and that moment the exception may still be raised. It is raised only once,
   so taking the gate a second time, outside, cannot be interrupted. The gate is reentrant because the first attempt
   may have taken it.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from ...core.backoff import LoggedBackoff
from ...core.threads.periodic_thread import PeriodicThread
from ...exceptions import JobTimeout
from ...log.safe import get_logger
from .attempt import GRACE_SECONDS, Attempt, too_long

logger = get_logger("django_loco.worker")

_set_pending = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_pending.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NOTHING = ctypes.py_object()

#: The time until the next try to interrupt a job whose gate was taken.
_RETRY_SECONDS = 0.01


class TimeLimit:
    """The time limit of one call."""

    __slots__ = ("attempt", "due", "gate", "interrupted", "thread")

    def __init__(self, attempt: Attempt, due: float) -> None:
        """Call it in the thread of the job, which then holds the gate. ``due`` is by ``time.monotonic()``."""
        self.attempt = attempt
        self.due = due
        self.interrupted = False
        self.thread = threading.current_thread()
        self.gate = threading.RLock()
        self.gate.acquire()

    def interrupt(self) -> None:
        """Raise ``JobTimeout`` in the job's thread; called under the gate, by the interrupter."""
        self.interrupted = True
        _set_pending(self.thread.ident, JobTimeout)

    def disarm(self) -> None:
        """Prevent an interruption, and clear a pending one; called in the job's thread, twice if necessary."""
        self.gate.acquire()
        _set_pending(self.thread.ident, _NOTHING)

    def call(self) -> Any:
        """Call the task. ``JobTimeout`` may be raised before it is disarmed, and cannot be raised after that."""
        try:
            self.gate.release()
            return self.attempt.call()
        finally:
            self.disarm()


class ThreadInterrupter(PeriodicThread):
    """The thread that interrupts sync jobs at their timeouts. It starts with the first job that has a timeout.

    1. ``call`` calls a task under its time limit, in the calling thread.
    2. At the timeout, the interrupter raises ``JobTimeout`` in that thread.
    3. If the call has not ended after ``grace`` more seconds, the interrupter reports the job as stuck, once.
    """

    def __init__(
        self,
        on_stuck: Callable[[TimeLimit], None],
        on_interrupted: Callable[[], None] = lambda: None,
        grace: float = GRACE_SECONDS,
    ) -> None:
        """``on_interrupted`` is called in a job's thread after an interruption, which may have been anywhere."""
        self._changed = threading.Event()
        backoff = LoggedBackoff(logger, "The worker", "enforce the timeouts of its jobs", 0.1, 5.0)
        super().__init__("loco-worker-interrupter", backoff, wake=self._changed)
        self._on_stuck = on_stuck
        self._on_interrupted = on_interrupted
        self._grace = grace
        self._time_limits: set[TimeLimit] = set()
        self._next = math.inf

    def call(self, attempt: Attempt) -> Any:
        """Call the task of ``attempt``. Raises what it raises, or ``JobTimeout``.

        An interrupted job often ends with another error, such as a database error for a broken transaction. It has
        still failed by its timeout, unless it says ``raise Another from error``.
        """
        timeout = attempt.policy.timeout
        if timeout is None:
            return attempt.call()
        time_limit = TimeLimit(attempt, time.monotonic() + timeout)
        self._add(time_limit)
        try:
            return time_limit.call()
        except Exception as error:
            time_limit.disarm()
            if time_limit.interrupted:
                _explain(error, timeout)
            raise
        finally:
            self._time_limits.discard(time_limit)
            if time_limit.interrupted:
                self._on_interrupted()

    def _add(self, time_limit: TimeLimit) -> None:
        if not self.has_started:
            self.start()
        self._time_limits.add(time_limit)
        if time_limit.due < self._next:
            self._changed.set()

    def turn(self) -> float:
        """Interrupt or report the jobs whose time is up; return the seconds until the next one."""
        now = time.monotonic()
        for time_limit in self._time_limits.copy():
            if time_limit.due <= now:
                self._enforce(time_limit, now)
        # Infinity first, so that a thread that adds a time limit while the minimum is computed sets the event.
        self._next = math.inf
        self._next = min((time_limit.due for time_limit in self._time_limits.copy()), default=math.inf)
        return self._next - time.monotonic()

    def _enforce(self, time_limit: TimeLimit, now: float) -> None:
        if not time_limit.gate.acquire(blocking=False):
            time_limit.due = now + _RETRY_SECONDS
            return
        try:
            if not time_limit.interrupted:
                time_limit.due = now + self._grace
                time_limit.interrupt()
            else:
                self._time_limits.discard(time_limit)
                self._on_stuck(time_limit)
        except BaseException:
            logger.exception("A stuck job could not be given up")
        finally:
            time_limit.gate.release()


def _explain(error: Exception, timeout: float) -> None:
    """Add the timeout to ``error`` if it is the interruption; raise ``JobTimeout`` if it was caused by it."""
    if isinstance(error, JobTimeout):
        error.args = error.args or (too_long(timeout),)
    elif _was_caused_by_interruption(error):
        raise JobTimeout(too_long(timeout)) from error


def _was_caused_by_interruption(error: BaseException) -> bool:
    if isinstance(error.__cause__, JobTimeout):
        return False
    link: BaseException | None = error
    while link is not None and not isinstance(link, JobTimeout):
        link = link.__cause__ if link.__cause__ is not None else link.__context__
    return link is not None
