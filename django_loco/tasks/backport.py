"""Support for packages that import ``django_tasks`` on Django 6 or later, as Wagtail 8 does.

The backport reads the same ``TASKS`` setting, so the tasks of such packages run on django-loco. Their receivers and
``except`` clauses use the backport's signals and exceptions. django-loco sends and raises these too if the backport has
been imported, and never imports it itself. On Django 5.2 ``compat`` imports the backport, so nothing is left to do.
"""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType

from django.dispatch import Signal

from ..core.compat import TaskResultDoesNotExist, task_enqueued, task_finished, task_started

SIGNALS = {"task_enqueued": task_enqueued, "task_started": task_started, "task_finished": task_finished}


def not_found(text: str) -> TaskResultDoesNotExist:
    """Return the error about a missing result; if the backport is imported, it is an instance of its exception, too."""
    twin = getattr(sys.modules.get("django_tasks.exceptions"), "TaskResultDoesNotExist", TaskResultDoesNotExist)
    if issubclass(TaskResultDoesNotExist, twin):
        return TaskResultDoesNotExist(text)
    both = type(twin.__name__, (TaskResultDoesNotExist, twin), {"__module__": TaskResultDoesNotExist.__module__})
    error: TaskResultDoesNotExist = both(text)
    return error


def with_twin(signal: Signal) -> list[Signal]:
    """Return ``signal``, and the backport's signal of the same name if it is imported and a different one."""
    module = sys.modules.get("django_tasks.signals")
    twin = _twins(module).get(id(signal)) if module else None
    return [signal, twin] if twin else [signal]


@cache
def _twins(module: ModuleType) -> dict[int, Signal]:
    twins = {id(own): getattr(module, name) for name, own in SIGNALS.items() if getattr(module, name) is not own}
    if twins:
        for name in SIGNALS:  # Django's receivers log the same lines
            getattr(module, name).disconnect(getattr(module, f"log_{name}"))
    return twins
