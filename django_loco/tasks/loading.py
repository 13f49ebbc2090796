"""Loads modules by names from the store, and decides which names are allowed.

Importing a module runs its code, and the store is data: a user who can write to it must not choose the code. A name in
it is the path of a task, a back-off function or an exception type. These modules are allowed:

1. Modules that this process has already imported.
2. With ``LOCO["TASK_MODULES"]``, the modules of that list and those within its packages.
3. Without it, the modules of installed apps, of packages that the installed apps import while Django loads them, and of
   the project. A module is the project's if it is neither in Python's standard library nor in a folder of installed
   packages (``site-packages``).

A ``__main__`` module is not allowed: it is made to be run.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from django.apps import apps
from django.conf import settings

from ..conf import loco_settings
from ..core.imports import import_module

#: Names of the folders of installed packages.
INSTALLED = frozenset(("site-packages", "dist-packages"))
OWN = ("django_loco",)

_loaded_with_apps: frozenset[str] = frozenset()


def remember_loaded_packages() -> None:
    """Record the packages that are imported so far. ``AppConfig.ready`` calls this, when all models are imported."""
    global _loaded_with_apps
    _loaded_with_apps = frozenset(name for name in sys.modules if "." not in name)


def load_module(name: str) -> ModuleType:
    """Return the module ``name``. Imports it only if ``may_be_imported`` allows it.

    Raises ``ImportError`` if it is not allowed or does not exist, and any exception that the module raises on import.
    """
    if name not in sys.modules and not may_be_imported(name):
        raise ImportError(
            f"a stored name may not import {name!r}: it is neither the project's code nor that of an installed app. "
            "If it has tasks, add it to LOCO['TASK_MODULES']"
        )
    try:
        return import_module(name)
    except SystemExit as error:  # a script that exits on import must not end the worker
        raise ImportError(f"{name} exits the process when it is imported") from error


def may_be_imported(name: str) -> bool:
    """Return whether a name from the store may import the module ``name``. Imports nothing."""
    parts = name.split(".")
    if not all(part.isidentifier() and part != "__main__" for part in parts):
        return False
    modules = loco_settings().TASK_MODULES
    if modules is not None:
        return _is_within(name, (*OWN, *modules))
    return _is_within(name, _packages()) or not _is_foreign(parts[0]) or _was_loaded_with_apps(parts[0])


def _is_within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _packages() -> Iterator[str]:
    """Yield the packages of installed apps, of the settings module and of the root URLconf."""
    yield from (app.name for app in apps.get_app_configs())
    for setting in ("SETTINGS_MODULE", "ROOT_URLCONF"):
        module = getattr(settings, setting, None)
        if isinstance(module, str):
            yield module.partition(".")[0]


def _was_loaded_with_apps(top: str) -> bool:
    return top in _loaded_with_apps and top not in sys.stdlib_module_names


@cache
def _is_foreign(top: str) -> bool:
    """Return whether the top-level module ``top`` belongs to Python or to an installed package."""
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    try:
        spec = find_spec(top)  # does not run a top-level module
    except ValueError:  # a module that was created in memory
        return False
    if spec is None:
        return False
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    return any(is_installed(Path(place)) for place in places)


def is_installed(place: Path) -> bool:
    """Return whether ``place`` belongs to Python or to an installed package."""
    return not INSTALLED.isdisjoint(place.parts) or place.is_relative_to(sysconfig.get_path("stdlib"))
