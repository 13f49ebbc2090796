"""Finds the queues of tests, and checks whether the calling code may read and run their jobs."""

from __future__ import annotations

from typing import Any, NoReturn

from .. import jobs
from ..conf import testing, worker_mode
from ..core.compat import Task, task_backends
from ..core.job import READY, Job
from ..core.threads import is_on_event_loop
from ..core.validation import did_you_mean, is_name, short
from ..exceptions import LocoConfigurationError
from ..queues import Queue, queue_for

#: The most waiting jobs that are read of each alias.
MAX_LISTED = 100_000


def require_manual(caller: str) -> None:
    """Raise ``LocoConfigurationError`` unless jobs wait for a test, and the function ``caller`` may reach them here.

    Jobs wait if at least one alias lets them wait.
    """
    mode = testing()
    if mode is None:
        raise LocoConfigurationError(
            f"{caller}() works only in Django's test environment: in manage.py test, in pytest-django, or after "
            "django.test.utils.setup_test_environment()."
        )
    if mode == "live":
        raise LocoConfigurationError(
            f"{caller}() has no jobs, because LOCO['TESTING'] is 'live': workers run them. Wait for their results, or "
            "set it to 'manual'."
        )
    aliases = jobs.aliases()
    if not aliases:
        raise LocoConfigurationError(
            f"{caller}() has no jobs, because no alias in TASKS has the BACKEND django_loco.backend.LocoBackend. "
            "run_job() works with other backends."
        )
    reasons = [_reason_to_run_at_once(alias) for alias in aliases]
    if all(reasons):
        _refuse(caller, reasons[0])
    require_thread(caller)


def require_waiting(caller: str, task: Task[..., Any]) -> None:
    """Raise ``LocoConfigurationError`` if ``enqueue()`` runs the jobs of ``task``, so that none waits."""
    if reason := _reason_to_run_at_once(task.backend):
        _refuse(caller, reason)


def _reason_to_run_at_once(alias: str) -> str:
    """Return the setting that makes the jobs of ``alias`` run inside ``enqueue()``; empty if they wait."""
    options = task_backends[alias].options
    if worker_mode(alias, options) != "ForegroundBlocking":
        return ""
    if testing() == "inline":
        return "LOCO['TESTING'] is 'inline'"
    setting = f"TASKS[{alias!r}]['OPTIONS']['mode']" if "mode" in options else "WORKER_MODE"
    return f"{setting} is 'ForegroundBlocking'"


def _refuse(caller: str, reason: str) -> NoReturn:
    remedy = "manual" if testing() == "inline" else "BackgroundQueue"
    raise LocoConfigurationError(
        f"{caller}() has no jobs, because {reason}: enqueue() runs them. Look at their results, or set it to "
        f"{remedy!r}."
    )


def require_thread(caller: str) -> None:
    """Raise ``LocoConfigurationError`` in code that runs on an event loop."""
    if is_on_event_loop():
        raise LocoConfigurationError(
            f"{caller}() cannot run on an event loop. In an async test write await sync_to_async({caller})(...)."
        )


def loco_queues() -> list[Queue]:
    """Return the queues of all aliases in ``TASKS`` that are django-loco's."""
    return [queue_for(alias) for alias in jobs.aliases()]


def stored_jobs() -> list[Job]:
    """Return all waiting jobs, including jobs that belong to no test."""
    return [job for queue in loco_queues() for job in queue.list(status=READY, limit=MAX_LISTED)]


def require_queue(name: object) -> None:
    """Raise ``LocoConfigurationError`` if no alias in ``TASKS`` has a queue ``name``; ``None`` is any queue."""
    if isinstance(name, Task):
        raise LocoConfigurationError(
            f"queue is {name.module_path}, a task; it must be the name of a queue. run_job() runs one task."
        )
    if name is not None and not is_name(name):
        raise LocoConfigurationError(f"queue is {short(name)}; it must be the name of a queue.")
    allowed = [task_backends[alias].queues for alias in jobs.aliases()]
    if name is None or not all(allowed) or any(name in names for names in allowed):
        return
    names = sorted({each for names in allowed for each in names})
    raise LocoConfigurationError(f"queue is {name!r}, which no alias in TASKS has.{did_you_mean(name, names)}")
