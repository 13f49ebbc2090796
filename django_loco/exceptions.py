"""Every error that django-loco raises.

    LocoError
    ├── LocoConfigurationError   a setting or option is wrong    (an ImproperlyConfigured too)
    ├── InvalidArguments         what was enqueued is not JSON   (a TypeError and a ValueError too)
    ├── QueueError               the place where jobs wait
    │   ├── QueueUnavailable     it cannot be reached, or lacks its tables
    │   └── QueueFull            it takes no more for now
    ├── UnknownTask              a stored job names a task that this process does not have
    ├── LostJob                  a job took its worker down with it, again and again
    └── JobTimeout               a job ran longer than its ``timeout``   (a TimeoutError too)

The errors of Django's own contract (``InvalidTask``, ``TaskResultDoesNotExist`` and so on) are raised as
Django defines them; import them from ``django.tasks.exceptions``.
"""

from django.core.exceptions import ImproperlyConfigured


class LocoError(Exception):
    """The root of the tree above."""


class LocoConfigurationError(LocoError, ImproperlyConfigured):
    """A setting is wrong; the message names the setting and the remedy."""


class InvalidArguments(LocoError, TypeError, ValueError):
    """An argument or a return value cannot make the round trip through JSON.

    Both a ``TypeError`` and a ``ValueError``, because Django's backends raise the one for a type and the
    other for a value that JSON does not have.
    """


class QueueError(LocoError):
    """Something is wrong with the place where jobs wait."""


class QueueUnavailable(QueueError):
    """The queue's store cannot be reached, or its tables are missing. Nothing was stored."""


class QueueFull(QueueError):
    """The queue holds as many waiting jobs as its ``max_waiting`` option allows. Nothing was stored."""


class UnknownTask(LocoError):
    """A stored job names a task that cannot be imported here. The job is kept for a worker that can."""


class LostJob(LocoError):
    """The worker died while it ran this job, as often as is tolerated."""


class JobTimeout(LocoError, TimeoutError):
    """The job ran longer than its ``timeout`` in seconds."""
