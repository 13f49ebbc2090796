"""The former paths of tasks that were renamed or moved: ``@task(aliases=("old.path",))``.

A task registers its aliases when its module is imported. The first lookup of an unregistered path imports the ``tasks``
modules of all installed apps, once per process. The project has to import other modules itself.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error

from ..core.compat import Task
from ..core.imports import import_module, import_string, modules_of_apps
from ..exceptions import RAISED_INTO_JOBS
from ..log.safe import get_logger

logger = get_logger(__name__)

#: The paths of the tasks that have each alias. More than one is a mistake in the project.
_paths_by_alias: dict[str, list[str]] = {}
_lock = threading.RLock()
_discovered = threading.Event()


def register(path: str, aliases: Iterable[str]) -> None:
    """Register the former paths (``aliases``) of the task at ``path``."""
    for alias in aliases:
        paths = _paths_by_alias.setdefault(alias, [])
        if path not in paths:
            paths.append(path)


def target_of(alias: str) -> str | None:
    """Return the present path of the task with this ``alias``; ``None`` if no task has it, or several have it."""
    if alias not in _paths_by_alias:
        discover()
    paths = _paths_by_alias.get(alias, ())
    return paths[0] if len(paths) == 1 else None


def paths_by_alias() -> dict[str, tuple[str, ...]]:
    """Return the paths of the tasks that have each alias. Imports the ``tasks`` modules first."""
    discover()
    return {alias: tuple(paths) for alias, paths in _paths_by_alias.items()}


def discover() -> None:
    """Import the ``tasks`` modules of installed apps, once. Logs a module that cannot be imported."""
    if _discovered.is_set() or not apps.ready:
        return
    with _lock:
        for name in () if _discovered.is_set() else tuple(modules_of_apps("tasks")):
            try:
                import_module(name)
            except RAISED_INTO_JOBS:  # the next job imports it
                raise
            except Exception:
                logger.warning("Could not import %s; the aliases of its tasks are not registered", name, exc_info=True)
        _discovered.set()


def installed_tasks() -> set[str]:
    """Return the paths of the tasks in the ``tasks`` modules of installed apps. Imports these first."""
    discover()
    modules = [sys.modules[name] for name in modules_of_apps("tasks") if name in sys.modules]
    return {each.module_path for module in modules for each in vars(module).values() if isinstance(each, Task)}


def check_aliases(**kwargs: Any) -> Iterator[CheckMessage]:
    """Yield an error for each alias that leads to several tasks."""
    for alias, paths in paths_by_alias().items():
        targets = {*paths, *_path_of_task_at(alias)}
        if len(targets) > 1:
            yield Error(
                f"{alias!r} is an alias of {' and of '.join(sorted(paths))}"
                + (", and a task is there" if targets - {*paths} else "")
                + ": jobs that are stored under it could run as any of them.",
                hint="Remove it from the aliases= of all but one @task.",
                id="loco.E006",
            )


def _path_of_task_at(path: str) -> tuple[str, ...]:
    try:
        task = import_string(path)
    except ImportError:
        return ()
    return (task.module_path,) if isinstance(task, Task) else ()
