"""Which modules a name from the store may import. The store is data, and to import a module runs its code.

A name from the store is the path of a task, of a back-off function or of an exception type. It may lead to

1. a module that this process has imported already;
2. with ``LOCO["TASK_MODULES"]``, a module of that list, or below one;
3. without it, a module of an installed app, or of the project: one that is neither in Python's standard library nor in
   a folder of installed packages (``site-packages``).
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from django.apps import apps
from django.conf import settings

from ..conf import loco_settings

#: Folders of installed packages, by their names.
INSTALLED = frozenset(("site-packages", "dist-packages"))
OWN = ("django_loco",)


def load_module(name: str) -> ModuleType:
    """Return the module ``name``; import it if ``may_be_imported`` allows that.

    Raises ``ImportError`` if it does not, or if there is no such module, and what the module raises on import.
    """
    if name not in sys.modules and not may_be_imported(name):
        raise ImportError(
            f"a stored name may not import {name!r}: it is neither the project's code nor that of an installed app. "
            "If it has tasks, name it in LOCO['TASK_MODULES']"
        )
    try:
        return import_module(name)
    except SystemExit as error:  # a script that is no module: it must not end the worker
        raise ImportError(f"{name} ends the process when it is imported") from error


def may_be_imported(name: str) -> bool:
    """Whether a name from the store may import the module ``name``. Imports nothing."""
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    modules = loco_settings().TASK_MODULES
    if modules is not None:
        return _is_within(name, (*OWN, *modules))
    return _is_within(name, _packages()) or not _is_foreign(name.partition(".")[0])


def _is_within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _packages() -> Iterator[str]:
    """Yield the packages of the installed apps, and those of the settings and the URLs, which are the project's."""
    yield from (app.name for app in apps.get_app_configs())
    for setting in ("SETTINGS_MODULE", "ROOT_URLCONF"):
        module = getattr(settings, setting, None)
        if isinstance(module, str):
            yield module.partition(".")[0]


@cache
def _is_foreign(top: str) -> bool:
    """Whether the top-level module ``top`` is Python's own, or of an installed package."""
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    try:
        spec = find_spec(top)  # finds a top-level module without running it
    except ValueError:  # it was made in memory
        return False
    if spec is None:
        return False
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    return any(_is_installed(Path(place)) for place in places)


def _is_installed(place: Path) -> bool:
    return not INSTALLED.isdisjoint(place.parts) or place.is_relative_to(sysconfig.get_path("stdlib"))
