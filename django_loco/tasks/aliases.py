"""The former paths of tasks that were renamed or moved: ``@task(aliases=("old.path",))``.

A task makes its aliases known when its module is imported. For a path that nobody knows the ``tasks`` modules of all
installed apps are imported, once per process; other modules have to be imported by the project.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string, module_has_submodule

from ..core.compat import Task
from ..log.safe import get_logger

logger = get_logger(__name__)

#: The paths of the tasks that claim an alias: one, unless something is wrong.
_claims: dict[str, list[str]] = {}
_lock = threading.RLock()
_discovered = threading.Event()


def register(path: str, aliases: Iterable[str]) -> None:
    """Make known that the task at ``path`` was at ``aliases`` before."""
    for alias in aliases:
        claims = _claims.setdefault(alias, [])
        if path not in claims:
            claims.append(path)


def target_of(alias: str) -> str | None:
    """Return the path of the task that was at ``alias`` before; ``None`` if none was, or several claim it."""
    if alias not in _claims:
        discover()
    claims = _claims.get(alias, ())
    return claims[0] if len(claims) == 1 else None


def claims() -> dict[str, tuple[str, ...]]:
    """Return the paths of the tasks that claim each alias."""
    discover()
    return {alias: tuple(paths) for alias, paths in _claims.items()}


def discover() -> None:
    """Import the ``tasks`` modules of installed apps, once; one that cannot be imported is logged."""
    if _discovered.is_set() or not apps.ready:
        return
    with _lock:
        for name in () if _discovered.is_set() else tuple(_modules()):
            try:
                import_module(name)
            except Exception:
                logger.warning("%s cannot be imported; aliases of its tasks are not known", name, exc_info=True)
        _discovered.set()


def _modules() -> Iterator[str]:
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "tasks"):
            yield f"{app.name}.tasks"


def check_aliases(**kwargs: Any) -> Iterator[CheckMessage]:
    """Find aliases of tasks that lead to several tasks."""
    for alias, paths in claims().items():
        found = {*paths, *_path_of_task_at(alias)}
        if len(found) > 1:
            yield Error(
                f"{alias!r} is an alias of {' and of '.join(sorted(paths))}"
                + (", and a task is there" if found - {*paths} else "")
                + ": it is not clear which one runs the jobs that are stored under it.",
                hint="Take it out of the aliases= of all but one @task.",
                id="loco.E006",
            )


def _path_of_task_at(path: str) -> tuple[str, ...]:
    try:
        found = import_string(path)
    except ImportError:
        return ()
    return (found.module_path,) if isinstance(found, Task) else ()
