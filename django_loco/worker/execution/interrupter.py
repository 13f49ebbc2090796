"""Interrupts sync jobs that have reached their timeout or were cancelled, from a thread of its own.

What a time limit can and cannot enforce
----------------------------------------
An async job is cancelled at its timeout, at the ``await`` where it waits. A job that computes without awaiting holds up
the event loop, and with it every other async job, and cannot be interrupted.

In a sync job ``JobTimeout`` (or ``JobCancelled``) is raised between two bytecode instructions. Code that waits in C (a
query, a ``sleep``, a read without a timeout, a long regular expression) is not interrupted; the exception is raised
when it returns.

The exception may be raised anywhere, also in the libraries that the job uses, for example between taking a lock and
the ``try`` that releases it. So prefer the limits of those libraries (a ``timeout`` of the HTTP client, the database's
``statement_timeout``), and use this one as the last resort. The database connections of the thread, which an
interruption breaks most easily, are closed.

Code that the job calls may catch the exception: a library that guards a callback with ``except Exception``, or Python
itself in ``__del__``. So a job that has not ended after a part of that time, and is not in an ``except`` or ``finally``
block for the exception, gets it once more.

A job is not interrupted while ``logging`` handles a line of it, for up to ``SPARED_SECONDS``. Handlers catch every
exception, so the job would go on as if nothing had happened; or they would keep their lock, for which every other
thread that logs would wait. The same holds for ``__enter__`` and ``__exit__`` of any context manager, for
``asgiref.local``, which each query and request needs, and for imports: they may have taken a lock that nobody would
release. It also holds for this package's stores: a connection would go back to its pool while an answer is still to
come.

A job may catch the exception and clean up for ``GRACE_SECONDS``. A job that has not ended by then is given up: the
attempt fails with that error, another thread or task takes its place, and the code that still runs is left alone,
since Python cannot end it. Its result is discarded. Health counts such jobs as ``abandoned``.

How an interruption stays inside the job
----------------------------------------
``PyThreadState_SetAsyncExc`` makes an exception *pending* in a thread. It is raised there a little later, between any
two bytecode instructions. It must never be raised in the code of the pool, which would end the thread.

1. Each call has a gate, a reentrant lock. The interrupter interrupts only while it holds the gate, and never waits for
   it. It interrupts a call at most twice, the second time only while the thread does not handle the first exception.
2. The job's thread holds the gate until it is about to enter the job. When the call has ended, it takes the gate for
   good and clears a pending exception. After that nothing can be raised any more.
3. Between the last instruction of the job and that moment the exception may still be raised. It is raised only once
   there, so taking the gate a second time, where it is handled, cannot be interrupted. The gate is reentrant because
   the first attempt may have taken it.
"""

from __future__ import annotations

import ctypes
import logging
import math
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from ...core.backoff import LoggedBackoff
from ...core.threads.frames import exception_of, frames, safe_look
from ...core.threads.monotonic import monotonic
from ...core.threads.periodic_thread import PeriodicThread
from ...exceptions import RAISED_INTO_JOBS, JobCancelled, JobTimeout
from ...log.safe import get_logger
from ..claimed_job import ClaimedJob
from .attempt import Attempt
from .errors import CANCELLED, CHOSEN_ENDS, CannotBegin, too_long

logger = get_logger("django_loco.worker")

_set_pending = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_pending.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NOTHING = ctypes.py_object()

#: The time until the next try to interrupt a job whose gate was taken.
_RETRY_SECONDS = 0.01
#: The part of the grace after which a job that goes on is interrupted once more.
_AGAIN_AFTER = 0.8
#: The time from the interruption of a job until it is given up.
GRACE_SECONDS = 5.0
#: For how long a job is spared in code that must not break.
SPARED_SECONDS = 3.0
#: The functions of ``logging`` that call filters and handlers, or take a lock.
_SPARED = frozenset({"handle", "isEnabledFor", "getLogger"})
_CONTEXT_MANAGERS = frozenset({"__enter__", "__exit__"})
#: Modules that take locks without ``with``, and those that talk to a store.
_FRAGILE = ("asgiref.local", "importlib._bootstrap", "django_loco.queues.", "django_loco.locks.stores.")


class InterruptibleCall:
    """One call of a task, and when it is to be interrupted."""

    __slots__ = ("attempt", "due", "error", "gate", "interrupted", "is_cancelled", "over_at", "spared_until", "thread")

    def __init__(self, attempt: Attempt, due: float) -> None:
        """Make it in the thread of the job, which then holds the gate. ``due``: see ``core.threads.monotonic``."""
        self.attempt = attempt
        self.due = due
        self.error: type[JobTimeout | JobCancelled] = JobTimeout
        """The exception that the interruption raises."""
        self.interrupted = self.is_cancelled = False
        self.over_at = math.inf
        """When the call is reported as stuck, once it is interrupted (``time.monotonic()``)."""
        self.spared_until: float | None = None
        """Until when it is spared (``time.monotonic()``), if it was in code that must not break; else ``None``."""
        self.thread = threading.current_thread()
        self.gate = threading.RLock()
        self.gate.acquire()

    def is_spared(self, now: float) -> bool:
        """Whether the interruption has to wait because the job is in code that must not break.

        The answer holds until another thread runs. The interrupter interrupts at once, so it does not wait in between.
        """
        if not _must_not_break(self.thread.ident):
            return False
        if self.spared_until is None:
            self.spared_until = now + SPARED_SECONDS
        return now < self.spared_until

    def interrupt(self) -> None:
        """Raise ``error`` in the job's thread; called under the gate, by the interrupter."""
        if not self.interrupted:
            self.error = JobCancelled if self.is_cancelled else JobTimeout
        self.interrupted, self.spared_until = True, None
        _set_pending(self.thread.ident, self.error)

    def disarm(self) -> None:
        """Prevent an interruption, and clear a pending one; called in the job's thread, twice if necessary."""
        self.gate.acquire()
        if self.interrupted:  # nobody can interrupt it from here on
            _set_pending(self.thread.ident, _NOTHING)

    def call(self) -> Any:
        """Call the task. ``error`` may be raised before the call is disarmed, and cannot be raised after that."""
        try:
            self.gate.release()
            return self.attempt.call()
        finally:
            self.disarm()


class ThreadInterrupter(PeriodicThread):
    """The thread that interrupts sync jobs. It starts with the first job that has a timeout, or is cancelled.

    1. ``call`` calls a task in the calling thread.
    2. At its timeout, the interrupter raises ``JobTimeout`` in that thread; after ``cancel``, ``JobCancelled``. It does
       so once more if the call goes on.
    3. If the call has not ended after ``grace`` more seconds, the interrupter reports the job as stuck, once.
    """

    def __init__(
        self,
        on_stuck: Callable[[InterruptibleCall], None],
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
        self._calls: set[InterruptibleCall] = set()
        self._next = math.inf

    def call(self, attempt: Attempt) -> Any:
        """Call the task of ``attempt``. Raises its errors, or ``JobTimeout``, ``JobCancelled`` or ``CannotBegin``.

        An interrupted job often ends with another error, such as a database error for a broken transaction. It still
        counts as interrupted, unless it says ``raise Another from error``, or chooses its end, like ``Snooze``.
        """
        timeout = attempt.policy.timeout
        if timeout is not None and not self.has_started:
            self._start_or_refuse(timeout)
        call = InterruptibleCall(attempt, math.inf if timeout is None else monotonic() + timeout)
        self._calls.add(call)
        if call.due < self._next:
            self._changed.set()
        try:
            return call.call()
        except Exception as error:
            call.disarm()
            if call.interrupted:
                _explain(error, call)
            raise
        finally:
            self._calls.discard(call)
            if call.interrupted:
                self._on_interrupted()

    def cancel(self, claimed: ClaimedJob) -> None:
        """Interrupt the call of a job that somebody cancelled, if it runs here and was not interrupted already.

        The interrupter may be about to enforce the timeout of the call, so only it sets the time and the exception.
        """
        for call in self._calls.copy():
            if call.attempt.claimed is claimed:
                call.is_cancelled = True
                self.start()
                self._changed.set()

    def _start_or_refuse(self, timeout: float) -> None:
        try:
            self.start()
        except RuntimeError as error:
            text = f"the system has no thread that could enforce the job's timeout of {timeout:g} s ({error})"
            raise CannotBegin(text) from error

    def turn(self) -> float:
        """Interrupt or report the jobs whose time is up; return the seconds until the next one."""
        now = monotonic()
        for call in self._calls.copy():
            if call.due <= now or (call.is_cancelled and not call.interrupted):
                self._enforce(call, now)
        # Infinity first, so that a thread that adds a time limit while the minimum is computed sets the event.
        self._next = math.inf
        self._next = min((call.due for call in self._calls.copy()), default=math.inf)
        return self._next - monotonic()

    def _enforce(self, call: InterruptibleCall, now: float) -> None:
        if not call.gate.acquire(blocking=False):
            call.due = now + _RETRY_SECONDS
            return
        try:
            if now >= call.over_at:
                self._calls.discard(call)
                self._on_stuck(call)
            elif call.is_spared(now):
                call.due = min(now + _RETRY_SECONDS, call.over_at)
            elif not call.interrupted:
                call.due, call.over_at = now + _AGAIN_AFTER * self._grace, now + self._grace
                call.interrupt()
            else:
                call.due = call.over_at
                if not _is_handling(call.thread.ident):
                    call.interrupt()
        except BaseException:
            logger.exception("A stuck job could not be given up")
        finally:
            call.gate.release()


def _must_not_break(thread_id: int | None) -> bool:
    """Whether an exception between two instructions could leave shared objects in an unknown state."""
    with safe_look():
        frame = frames().get(thread_id or 0)
        while frame is not None and not _is_spared(frame):
            frame = frame.f_back
        return frame is not None


def _is_spared(frame: FrameType) -> bool:
    if frame.f_globals is vars(logging):
        return frame.f_code.co_name in _SPARED
    return frame.f_code.co_name in _CONTEXT_MANAGERS or str(frame.f_globals.get("__name__")).startswith(_FRAGILE)


def _is_handling(thread_id: int | None) -> bool:
    """Whether the thread is in an ``except`` or ``finally`` block for an interruption, or in code called from there."""
    error = exception_of(thread_id)
    seen = set[int]()
    while error is not None and id(error) not in seen:  # a chain that the job has made by hand may be a ring
        if isinstance(error, RAISED_INTO_JOBS):
            return True
        seen.add(id(error))
        error = error.__context__
    return False


def _explain(error: Exception, call: InterruptibleCall) -> None:
    """Add a text to ``error`` if it is the interruption. If the interruption caused ``error``, raise the interruption.

    An exception by which the job chooses its end is left as it is.
    """
    text = CANCELLED if call.error is JobCancelled else too_long(call.attempt.policy.timeout or 0)
    if isinstance(error, call.error):
        error.args = error.args or (text,)
    elif not isinstance(error, CHOSEN_ENDS) and _was_caused_by(error, call.error):
        raise call.error(text) from error


def _was_caused_by(error: BaseException, interruption: type[Exception]) -> bool:
    if isinstance(error.__cause__, interruption):
        return False
    link: BaseException | None = error
    seen = set[int]()
    while link is not None and id(link) not in seen:  # as above
        if isinstance(link, interruption):
            return True
        seen.add(id(link))
        link = link.__cause__ if link.__cause__ is not None else link.__context__
    return False
