"""Imports by dotted paths; the autoreloader watches the files of modules that cannot be imported.

Django's autoreloader watches the files of the modules in ``sys.modules``. A module whose import has failed is not among
them. Who catches such an error imports with these functions: otherwise the process would not restart when the module is
repaired. They also watch for files that do not exist yet. Without an autoreloader they only import.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from django.apps import apps
from django.dispatch import receiver
from django.utils import autoreload, module_loading

_NO_SUCH_NAME = re.compile(r"cannot import name '(\w+)'")

#: The files to watch, and the autoreloader once it has started.
_files: set[Path] = set()
_reloader: autoreload.BaseReloader | None = None
_lock = threading.Lock()


class _PossibleFile(type(Path())):  # type: ignore[misc]
    """A file that may not exist yet. To Django's autoreloader it is an old one then, which changes once it is written.

    The autoreloader would skip a path that does not exist, and take its later existence for no change.
    """

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        try:
            found: os.stat_result = super().stat(follow_symlinks=follow_symlinks)
        except OSError:
            return os.stat_result((0,) * 10)
        return found


def import_module(name: str) -> ModuleType:
    """Import as ``importlib`` does, with its errors."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        _watch_error(error)
        raise


def import_string(path: str) -> Any:
    """Return what ``path`` names, as Django's function does, with its errors."""
    try:
        return module_loading.import_string(path)
    except Exception as error:
        _watch_error(error)
        raise


def path_of(item: Any) -> str:
    """Return the dotted path at which ``item``, a function or a class, was defined."""
    return f"{getattr(item, '__module__', '')}.{getattr(item, '__qualname__', '')}"


def modules_of_apps(name: str) -> Iterator[str]:
    """Yield the dotted paths of the modules ``name`` in the installed apps, in their order. Imports none of them."""
    for app in apps.get_app_configs():
        path = f"{app.name}.{name}"
        if module_loading.module_has_submodule(app.module, name):
            yield path
        elif _is_reloading():
            _watch(_places(path))


@receiver(autoreload.autoreload_started)
def _watch_from_now(sender: autoreload.BaseReloader, **kwargs: Any) -> None:
    global _reloader
    with _lock:
        _reloader = sender
        sender.extra_files = sender.extra_files | _files


def _watch_error(error: BaseException) -> None:
    if _is_reloading():
        _watch(_files_behind(error))


def _is_reloading() -> bool:
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def _watch(paths: Iterable[Path]) -> None:
    files = {_PossibleFile(path) for path in paths if path.parent.is_dir()}
    with _lock:
        _files.update(files)
        if _reloader is not None:  # its thread iterates over the present set
            _reloader.extra_files = _reloader.extra_files | files


def _files_behind(error: BaseException) -> Iterator[Path]:
    """Yield the files whose change may repair ``error``: those that it passed through, and those that it lacks."""
    for each in _chain(error):
        names: list[object] = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(each.__traceback__)]
        names += [getattr(each, "filename", None), getattr(each, "path", None)]  # of a SyntaxError, of an ImportError
        yield from (Path(name).absolute() for name in names if isinstance(name, str) and not name.startswith("<"))
        if isinstance(each, ImportError) and each.name:
            yield from _places(each.name)
            if missing := _NO_SUCH_NAME.match(str(each)):
                yield from _places(f"{each.name}.{missing[1]}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _places(module: str) -> Iterator[Path]:
    """Yield the files and the folder that ``module`` could be, where Python would look for them."""
    package, _, name = module.rpartition(".")
    for entry in getattr(sys.modules.get(package), "__path__", ()) if package else sys.path:
        folder = Path(entry).absolute() / name
        yield folder.with_name(f"{name}.py")
        yield folder / "__init__.py" if folder.exists() else folder
