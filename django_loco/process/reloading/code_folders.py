"""Finds the folders of the project's code, also of modules that this process has not imported.

A process that starts others does not import what they do: the parent of several workers loads no task, and the parent
of a process whose code is broken does not know the module that broke it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from django.utils.autoreload import sys_path_directories

from ...tasks.loading import is_installed


def code_folders() -> Iterator[Path]:
    """Yield the folders in ``sys.path`` that do not belong to Python or to installed packages, and those within them.

    A folder within them counts if a module of it could be imported and it has Python files itself. So a folder of
    uploads, ``node_modules``, a virtual environment or a hidden folder costs one look at most.
    """
    for folder in sys_path_directories():
        if not is_installed(folder):
            yield from _packages(folder)


def _packages(root: Path) -> Iterator[Path]:
    for folder, within, files in os.walk(root):
        if Path(folder) == root or (any(name.endswith(".py") for name in files) and "pyvenv.cfg" not in files):
            within[:] = filter(str.isidentifier, within)
            yield Path(folder)
        else:
            within.clear()
