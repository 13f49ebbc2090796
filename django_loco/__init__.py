"""Background jobs and cron for Django, in one command with the site or on machines of their own.

The public names are in ``django_loco.tasks``, ``django_loco.scheduler``, ``django_loco.shutdown`` and
``django_loco.locks``. ``lock`` is a name of the package, too.
"""

import os
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any

__version__ = "0.1.0"

if not hasattr(os, "register_at_fork"):
    raise ImportError("django-loco needs a POSIX system and does not run on Windows: use WSL or a Linux container.")

#: Modules that projects may import by their former paths, because the example did, and their present paths.
_MOVED = {f"{__name__}.{name}": f"{__name__}.core.{name}" for name in ("compat", "job", "serialization")}


class _MovedModules(MetaPathFinder):
    """Is asked for modules that do not exist; names the present path of one that has moved."""

    def find_spec(self, fullname: str, *args: object) -> None:
        """Raises ``ModuleNotFoundError`` for a former path."""
        if fullname in _MOVED:
            raise ModuleNotFoundError(f"{fullname} has moved: import {_MOVED[fullname]}.", name=fullname)


sys.meta_path.append(_MovedModules())


def __getattr__(name: str) -> Any:
    """Return ``lock`` of ``django_loco.locks``, which is imported when it is first used."""
    if name == "lock":
        return import_module(f"{__name__}.locks").lock
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
