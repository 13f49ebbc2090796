"""The exceptions of django-loco.

    LocoError
    ├── LocoConfigurationError   a setting or option is wrong    (an ImproperlyConfigured too)
    ├── InvalidArguments         the arguments of a call do not fit, or are no JSON   (a TypeError and a ValueError too)
    ├── QueueError               an error of the queue
    │   ├── QueueUnavailable     it cannot be reached, or its tables are missing
    │   │   ├── Unfinished       an operation on many jobs has stopped after a part of them
    │   │   └── JobsLocked       a transaction of somebody else has locked some of the jobs
    │   ├── QueueRefused         it answers, and refuses the values
    │   ├── QueueFull            it has no room at the moment
    │   └── BatchFinished        the batch takes no more jobs, or there is no such batch
    ├── DuplicateJob             a unique job that is to be enqueued is there already
    ├── LockTimeout              a lock was not free in time      (a TimeoutError too)
    ├── LockLost                 a lock was lost while it was held
    ├── LockHeld                 a thread or asyncio task claims a lock that it holds   (a RuntimeError too)
    ├── FilterError              the text of a filter of jobs has a mistake   (a ValueError too)
    ├── BatchDoesNotExist        there is no such batch   (a LookupError too)
    ├── InvalidState             an operation is not possible with a job as it is now
    ├── UnknownTask              this process does not have the task of a stored job
    ├── InvalidSignature         a stored job lacks the signature that ``LOCO["SIGN"]`` requires
    ├── LostJob                  several workers died while they ran the job
    ├── JobCancelled             somebody cancelled the job
    ├── JobExpired               a job had not begun by its ``expires``
    ├── JobTimeout               a job ran longer than its ``timeout``
    ├── ResultRefused            the store refused the return value of a job
    ├── InvalidStep              a durable step has a used name, or a bad result   (a TypeError and a ValueError too)
    ├── SignalTimeout            a signal that a job waits for has not come in time   (a TimeoutError too)
    ├── Interrupted              a job ends early and will be continued; the job raises it
    ├── Snooze                   a job puts its next run off; the job raises it
    ├── Throttled                a service asks for a pause: the limits of the job are closed; the job raises it
    └── Discard                  a job gives itself up, and is not tried again; the job raises it

Exceptions of Django's Tasks framework, such as ``InvalidTask`` and ``TaskResultDoesNotExist``, are Django's own: import
them from ``django.tasks.exceptions`` or ``django_loco.tasks``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

#: The latest year to which a job can put off its next run, and the longest time in seconds.
LAST_YEAR, LONGEST_SNOOZE = 9998, 100 * 366 * 86_400


class LocoError(Exception):
    """The base class of all exceptions of django-loco."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let ``pickle`` and ``copy`` keep the attributes. They must not call ``__init__``, which may take no text."""
        return _again, (type(self), self.args), vars(self)


class LocoConfigurationError(LocoError, ImproperlyConfigured):
    """A setting or option is wrong; the message names it and the remedy.

    ``field`` is the name of an option of a schedule, if the error is about one.
    """

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidArguments(LocoError, TypeError, ValueError):
    """The task's function does not take these arguments, or they cannot be stored as JSON. Nothing was stored.

    Django raises a ``TypeError`` or a ``ValueError`` here, so this is both.
    """


class QueueError(LocoError):
    """An error of the queue."""


class QueueUnavailable(QueueError):
    """The queue's store cannot be reached, or its tables are missing.

    Usually nothing was stored. But if the store hangs or its answer was lost, the operation may have been carried out.
    """


class Unfinished(QueueUnavailable):
    """An operation on many jobs has stopped after a part of them: a store went away, or refused the next ones.

    The message says why, and ``__cause__`` is the error. When that is mended, run the operation again: the jobs that
    were changed no longer match, or are left as they are. It is a ``QueueUnavailable`` whatever the reason is.
    """

    def __init__(self, message: str = "", *, done: int = 0) -> None:
        super().__init__(message)
        self.done = done
        """The number of jobs that are certainly done. The next batch of jobs may be done, too."""


class JobsLocked(QueueUnavailable):
    """A transaction of somebody else has locked some of the jobs of a call. Those that are free are stored.

    Queues raise it in the threads of workers, which do not wait for such a transaction and try again later.
    """

    def __init__(self, message: str = "", *, locked: Collection[str] = (), refused: Collection[str] = ()) -> None:
        super().__init__(message)
        self.locked = frozenset(locked)
        """The ids of the jobs that are locked, and unchanged."""
        self.refused = frozenset(refused)
        """The ids of the jobs that the store refused. The call returns them if no job is locked."""


class QueueRefused(QueueError):
    """The queue's store answers, and refuses the values as invalid. Nothing was stored."""


class QueueFull(QueueError):
    """The queue holds as many waiting jobs as its ``max_waiting`` option allows. Nothing was stored."""


class DuplicateJob(LocoError):
    """Another job has the unique key of a call, and the task has ``on_duplicate="raise"``.

    If several calls were enqueued at once, the others may have been stored: see ``results``.
    """

    def __init__(self, message: str = "", *, result: Any = None, results: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.result = result
        """The result of that job, a ``TaskResult``."""
        self.results = results
        """A result for each call of ``enqueue_many``; empty if nothing was stored."""


class LockTimeout(LocoError, TimeoutError):
    """A lock was not free within ``timeout`` seconds. The message says who holds it, since when, and in which job."""


class LockLost(LocoError):
    """The lease of a lock ended while the ``with`` block ran: somebody else may have held the lock meanwhile."""


class LockHeld(LocoError, RuntimeError):
    """A thread or an asyncio task claims a lock that it already holds. It would wait for itself forever.

    A thread that blocks its event loop would wait forever, too, if a task of that loop holds the lock.
    """


class BatchFinished(QueueError):
    """A job was enqueued in a batch that has finished or was cancelled, or that is not there. Nothing was stored."""


class BatchDoesNotExist(LocoError, LookupError):
    """There is no such batch in the store, or it was deleted after ``RESULT_TTL``."""


class FilterError(LocoError, ValueError):
    """The text of a filter of jobs has a mistake; the message shows where and says what to write."""

    def __init__(self, message: str = "", *, text: str = "", position: int | None = None) -> None:
        shown = f" (at character {position + 1} of {text!r})" if text and position is not None else ""
        super().__init__(f"{message}{shown}")
        self.text = text
        """The whole filter; empty if it was given as keyword arguments."""
        self.position = position
        """The index in ``text`` of the first character of the mistake."""


class InvalidState(LocoError):
    """An operation is not possible with a job as it is now: one that runs cannot be deleted. Nothing was changed.

    Also: a call would wait for a job that cannot start meanwhile.
    """


class UnknownTask(LocoError):
    """The task of a stored job cannot be imported in this process.

    The job waits for a worker that can import it. After ``LOCO["UNKNOWN_TASK_TTL"]`` seconds it fails with this error.
    """


class InvalidSignature(LocoError):
    """A stored job was not signed with the ``SECRET_KEY`` of this project, or was changed later. It is never run."""


class LostJob(LocoError):
    """Several workers died while they ran this job."""


class JobCancelled(LocoError):
    """Somebody cancelled the job, which has failed with this error. It is not retried.

    It is raised in a job that runs, so that its ``finally`` blocks run.
    """


class JobExpired(LocoError):
    """The job had not begun by the time that ``expires`` sets, and never runs. Its state is ``cancelled``."""


class JobTimeout(LocoError):
    """The job ran longer than its ``timeout`` in seconds.

    It is no ``TimeoutError``, which is an ``OSError``: clients of HTTP and Redis would treat it as an error of the
    network, and send their request again.
    """


#: The exceptions that may be raised at any point of a job's code to end it. Code of ours that a job calls must let them
#: through, even where it catches all other errors.
RAISED_INTO_JOBS = (JobCancelled, JobTimeout)


class ResultRefused(LocoError):
    """The store refused the return value of a job, but takes other outcomes. The job has failed."""


class InvalidStep(LocoError, TypeError, ValueError):
    """A durable step has a name that the run has used, has a result that is not JSON, or runs in a transaction."""


class SignalTimeout(LocoError, TimeoutError):
    """A signal that a job waits for, by ``context.wait_for``, has not come in time. The job is not tried again.

    ``name`` is the name of the signal.
    """

    def __init__(self, message: str = "", *, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class Interrupted(LocoError):
    """A job raises it to end early because its worker is shutting down. It is released, and no attempt is spent."""


class Snooze(LocoError):
    """A job raises it to run again later: ``raise Snooze(60)``. No attempt is spent, and no error is stored.

    ``delay`` is in seconds, or a ``timedelta``; ``until`` is the time of the next run, aware unless ``USE_TZ`` is
    false. If that time has passed, the job runs again after a second.

    Raises ``TypeError`` and ``ValueError`` for other values, so that the job fails with an error that says why.
    """

    def __init__(self, delay: float | timedelta | None = None, *, until: datetime | None = None) -> None:
        if (delay is None) == (until is None):
            raise TypeError("Write Snooze(seconds), Snooze(timedelta), or Snooze(until=datetime).")
        super().__init__(f"for {delay}" if until is None else f"until {until}")
        self.delay = None if delay is None else _snooze_of(delay)
        """The time from the end of the run to the next one."""
        self.until = None if until is None else _moment_of(until)
        """The time of the next run, aware."""

    def due_at(self, now: datetime) -> datetime:
        """Return the time of the next run after one that ends at ``now``, aware."""
        return self.until or now + (self.delay or timedelta())


class Throttled(LocoError):
    """A job raises it when a service asks for a pause: ``raise Throttled(retry_after=30)``. No attempt is spent.

    The keys of its limits are closed for ``retry_after``, which is in seconds or a ``timedelta``: none of their jobs
    begins meanwhile, and this one keeps its place among them. ``limit`` names the only limit to close. A job that does
    not obey that limit, or obeys no limit at all, is put off as by ``Snooze``.

    Raises ``TypeError`` and ``ValueError`` for other values, so that the job fails with an error that says why.
    """

    def __init__(self, retry_after: float | timedelta, *, limit: str | None = None) -> None:
        super().__init__(f"for {retry_after}")
        self.delay = max(_snooze_of(retry_after, "Throttled"), timedelta(seconds=1))
        """How long the keys are closed, at least a second."""
        self.limit = limit


class Discard(LocoError):
    """A job raises it to end without a result: ``raise Discard("the customer has left")``. It is not tried again.

    It has failed with this error, and its state is ``cancelled``, as after ``jobs.discard()``.
    """


def _again(kind: type[LocoError], args: tuple[Any, ...]) -> LocoError:
    error = kind.__new__(kind, *args)
    error.args = args  # a TimeoutError sets it in __init__
    return error


def _snooze_of(delay: object, name: str = "Snooze") -> timedelta:
    if isinstance(delay, bool) or not isinstance(delay, int | float | timedelta):
        raise TypeError(f"{name} takes a number of seconds or a timedelta, not {delay!r:.100}.")
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if not -LONGEST_SNOOZE <= seconds <= LONGEST_SNOOZE:
        raise ValueError(f"{name} takes a time of a hundred years at most, not {delay!r:.100}.")
    return timedelta(seconds=seconds)


def _moment_of(until: object) -> datetime:
    if not isinstance(until, datetime):
        raise TypeError(f"Snooze(until=...) takes a datetime, not {until!r:.100}.")
    if until.year > LAST_YEAR:
        raise ValueError(f"Snooze(until=...) takes a time up to the year {LAST_YEAR}, not {until}.")
    if timezone.is_naive(until):
        if settings.USE_TZ:
            raise ValueError(f"Snooze(until=...) takes an aware datetime, such as timezone.now() gives, not {until}.")
        until = timezone.make_aware(until, timezone.get_default_timezone())
    return until
