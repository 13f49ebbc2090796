"""Finds the folders of the project's code, including those of modules that this process has not imported.

A parent process does not import the modules that its children import. The parent of several workers loads no task. The
parent of a process whose code is broken does not know which module is broken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from django.utils.autoreload import sys_path_directories

from ...tasks.loading import is_installed


def code_folders() -> Iterator[Path]:
    """Yield the folders in ``sys.path`` that are not Python's or an installed package's, and their subfolders.

    A subfolder counts if it has Python files and could be imported as a package. So uploads, ``node_modules``, virtual
    environments and hidden folders are not searched: reading their list of files is all that they cost.
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
