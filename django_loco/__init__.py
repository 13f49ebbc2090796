"""Background jobs and cron for Django, in one command with the site or on machines of their own.

The public names are in ``django_loco.tasks``, ``django_loco.scheduler``, ``django_loco.shutdown`` and
``django_loco.locks``. ``lock`` is a name of the package, too.

Where to begin reading::

    tasks/ backend.py                   make a job of a call, and enqueue it
    queues/                             stores it: in memory, in a database, in Redis
    worker/                             takes and runs it
    jobs/                               finds it, and changes it while it waits or when it has ended
    scheduler/                          enqueues jobs when schedules are due
    assembly/ servers/ process/         make a process of these parts, and end it
    management/ admin/ dashboard/ urls/ the entry points
    core/ log/ conf.py                  what all of them use

``docs/explanation/architecture.md`` follows a job, a batch, a signal and a tick from file to file.
"""

import os
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any

__version__ = "0.1.0"

if not hasattr(os, "register_at_fork"):
    raise ImportError("django-loco needs a POSIX system and does not run on Windows: use WSL or a Linux container.")

#: The import to write instead: for modules that projects may import by a former path, as the example did, and for names
#: that people look for here.
_INSTEAD = {
    **{f"{__name__}.{name}": f"import {__name__}.core.{name}" for name in ("compat", "job", "serialization")},
    **{
        f"{__name__}.{name}": f"from {__name__}.tasks import {name}"
        for name in ("task", "enqueue_many", "batch", "chain", "group", "Batch", "Workflow", "Discard", "Snooze")
    },
    **{
        f"{package}.{name}": remedy
        for package in (__name__, f"{__name__}.tasks")
        for name, remedy in {
            "shared_task": f"from {__name__}.tasks import task",
            "chord": f"from {__name__}.tasks import chain, group  # chain(group(a.s(1), a.s(2)), b.s())",
            "crontab": f'from {__name__} import scheduler  # scheduler.cron("0 2 * * *", task)',
            "AsyncResult": f"from {__name__} import jobs  # jobs.get(id), or task.get_result(id)",
            "Retry": f"from {__name__}.tasks import Snooze  # or raise another exception: see max_attempts",
            "get_current_job": f"from {__name__}.tasks import task  # @task(takes_context=True)",
        }.items()
    },
}


class _OtherPaths(MetaPathFinder):
    """Says what to import instead of a module, or a name of a package, that does not exist."""

    def find_spec(self, fullname: str, *args: object) -> None:
        """Raises ``ModuleNotFoundError`` for a path in ``_INSTEAD``."""
        if fullname in _INSTEAD:
            # No argument ``name``: with it, Python would treat this as a missing name, and drop the message.
            raise ModuleNotFoundError(f"There is no {fullname}. Write: {_INSTEAD[fullname]}")


sys.meta_path.append(_OtherPaths())


def __getattr__(name: str) -> Any:
    """Return ``lock`` of ``django_loco.locks``, which is imported when it is first used."""
    if name == "lock":
        return import_module(f"{__name__}.locks").lock
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
