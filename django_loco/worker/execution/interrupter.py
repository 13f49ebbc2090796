"""Time limits of sync jobs: one thread that interrupts others. What it can do is told in ``limits``.

How an interruption stays inside the job
----------------------------------------
``PyThreadState_SetAsyncExc`` makes an exception *pending* in a thread; it is raised there between any two
bytecode instructions, a little later. It must never be raised in the pool's own code, or that thread is lost.

1. Each call has an alarm with a gate, a reentrant lock. The watch fires only while it holds the gate, once per
   alarm, and never waits for it.
2. The job's thread holds the gate until it is about to enter the job. When the call has ended, it takes the gate
   for good, and clears what is pending. From there on nothing can be raised any more.
3. Until it has the gate the exception may still be raised, between the job's last instruction and that moment.
   Then it has been raised, and the watch fires only once: taking the gate a second time, outside, cannot be
   interrupted again. The gate is reentrant because the first time may have got it.
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
from .attempt import Attempt
from .timeouts import GRACE, too_long

logger = get_logger("django_loco.worker")

_set_pending = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_pending.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NOTHING = ctypes.py_object()

#: Seconds until the watch looks again at an alarm whose gate was taken.
_AGAIN = 0.01


class TimeLimit:
    """The time limit of one call."""

    __slots__ = ("attempt", "due", "gate", "interrupted", "thread")

    def __init__(self, attempt: Attempt, due: float) -> None:
        """Made in the thread of the job, which holds the gate. ``due``: ``time.monotonic()``."""
        self.attempt = attempt
        self.due = due
        self.interrupted = False
        self.thread = threading.current_thread()
        self.gate = threading.RLock()
        self.gate.acquire()

    def fire(self) -> None:
        """Raise ``JobTimeout`` in the job's thread; called under the gate, by the watch."""
        self.interrupted = True
        _set_pending(self.thread.ident, JobTimeout)

    def disarm(self) -> None:
        """Keep it from firing, and its exception from being raised if it has; in the job's thread, twice if need be."""
        self.gate.acquire()
        _set_pending(self.thread.ident, _NOTHING)

    def call(self) -> Any:
        """Call the task. May be left by ``JobTimeout`` before it is disarmed; then nothing more can come."""
        try:
            self.gate.release()
            return self.attempt.call()
        finally:
            self.disarm()


class ThreadInterrupter(PeriodicThread):
    """The thread that ends sync jobs which take too long. It starts with the first job that has a timeout.

    1. ``call`` calls a task under its time limit, in the calling thread.
    2. At the timeout the watch interrupts that thread.
    3. When the call has still not ended after ``grace`` seconds, it reports the alarm as stuck, once.
    """

    def __init__(
        self,
        on_stuck: Callable[[TimeLimit], None],
        on_interrupted: Callable[[], None] = lambda: None,
        grace: float = GRACE,
    ) -> None:
        """``on_interrupted`` is called in a job's thread after an interruption, which may have struck anywhere."""
        self._changed = threading.Event()
        backoff = LoggedBackoff(logger, "The worker", "watch over the timeouts of its jobs", 0.1, 5.0)
        super().__init__("loco-worker-watch", backoff, wake=self._changed)
        self._on_stuck = on_stuck
        self._on_interrupted = on_interrupted
        self._grace = grace
        self._time_limits: set[TimeLimit] = set()
        self._next = math.inf

    def call(self, attempt: Attempt) -> Any:
        """Call the task of ``attempt``. Raises what it raises, or ``JobTimeout``.

        An interrupted job often ends with another error than that, such as one of the database for a transaction
        that was cut in two. It has failed by its timeout all the same, unless it says ``raise Another from error``.
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
        """Interrupt or report what is due; return the seconds until the next alarm."""
        now = time.monotonic()
        for time_limit in self._time_limits.copy():
            if time_limit.due <= now:
                self._enforce(time_limit, now)
        # Infinity first: a thread that adds an alarm while the minimum is being sought must set the event.
        self._next = math.inf
        self._next = min((time_limit.due for time_limit in self._time_limits.copy()), default=math.inf)
        return self._next - time.monotonic()

    def _enforce(self, time_limit: TimeLimit, now: float) -> None:
        if not time_limit.gate.acquire(blocking=False):
            time_limit.due = now + _AGAIN
            return
        try:
            if not time_limit.interrupted:
                time_limit.due = now + self._grace
                time_limit.fire()
            else:
                self._time_limits.discard(time_limit)
                self._on_stuck(time_limit)
        except BaseException:
            logger.exception("A job that is stuck could not be replaced")
        finally:
            time_limit.gate.release()


def _explain(error: Exception, timeout: float) -> None:
    """Say of ``error`` what interrupted the job, if it is, or came of, the interruption. May raise ``JobTimeout``."""
    if isinstance(error, JobTimeout):
        error.args = error.args or (too_long(timeout),)
    elif _came_of_interruption(error):
        raise JobTimeout(too_long(timeout)) from error


def _came_of_interruption(error: BaseException) -> bool:
    if isinstance(error.__cause__, JobTimeout):
        return False
    link: BaseException | None = error
    while link is not None and not isinstance(link, JobTimeout):
        link = link.__cause__ if link.__cause__ is not None else link.__context__
    return link is not None
