"""Every error that django-loco raises.

    LocoError
    ├── LocoConfigurationError   a setting or option is wrong    (an ImproperlyConfigured too)
    ├── InvalidArguments         a task cannot be called with what was enqueued   (a TypeError and a ValueError too)
    ├── QueueError               the place where jobs wait
    │   ├── QueueUnavailable     it cannot be reached, or lacks its tables
    │   ├── QueueRefused         it can, and refuses what it was given
    │   └── QueueFull            it takes no more for now
    ├── UnknownTask              a stored job names a task that this process does not have
    ├── InvalidSignature         a stored job is not signed as ``LOCO["SIGN"]`` wants it
    ├── LostJob                  a job took its worker down with it, again and again
    ├── JobTimeout               a job ran longer than its ``timeout``   (a TimeoutError too)
    ├── ResultRefused            what a job returned is too large for the store
    └── Interrupted              a job ends early, to be gone on with; raised by the job itself

The errors of Django's own contract are raised as Django defines them: ``InvalidTask``, ``TaskResultDoesNotExist``
and so on (import them from ``django.tasks.exceptions``).
"""

from django.core.exceptions import ImproperlyConfigured


class LocoError(Exception):
    """The root of the tree above."""


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
    """Something is wrong with the place where jobs wait."""


class QueueUnavailable(QueueError):
    """The queue's store cannot be reached, or its tables are missing.

    As a rule nothing was stored. But a store that hangs, or whose answer was lost, may have done what was asked of it.
    """


class QueueRefused(QueueError):
    """The queue's store answers, and refuses what it was given as wrong. Nothing was stored."""


class QueueFull(QueueError):
    """The queue holds as many waiting jobs as its ``max_waiting`` option allows. Nothing was stored."""


class UnknownTask(LocoError):
    """A stored job names a task that cannot be imported here.

    The job is kept for a worker that can import it. After ``LOCO["UNKNOWN_TASK_TTL"]`` seconds it fails with this.
    """


class InvalidSignature(LocoError):
    """A stored job was not signed with this project's ``SECRET_KEY``, or was changed since. It is never run."""


class LostJob(LocoError):
    """The worker died while it ran this job, as often as is tolerated."""


class JobTimeout(LocoError, TimeoutError):
    """The job ran longer than its ``timeout`` in seconds."""


class ResultRefused(LocoError):
    """The store did not take what a job returned, though it took other outcomes: the job has failed."""


class Interrupted(LocoError):
    """Raised by a job that ends early because its worker is about to. It is handed back, and spends no attempt."""
