"""Background jobs and cron for Django, in one command with the site or on machines of their own.

The public names are in ``django_loco.tasks``, ``django_loco.scheduler`` and ``django_loco.shutdown``.
"""

import sys
from importlib.abc import MetaPathFinder

__version__ = "0.1.0"

#: Modules that projects may import by their former paths, because the example did, and their present paths.
_MOVED = {f"{__name__}.{name}": f"{__name__}.core.{name}" for name in ("compat", "job", "serialization")}


class _MovedModules(MetaPathFinder):
    """Is asked for modules that do not exist; names the present path of one that has moved."""

    def find_spec(self, fullname: str, *args: object) -> None:
        """Raises ``ModuleNotFoundError`` for a former path."""
        if fullname in _MOVED:
            raise ModuleNotFoundError(f"{fullname} has moved: import {_MOVED[fullname]}.", name=fullname)


sys.meta_path.append(_MovedModules())
