"""The path of the file of a SQLite database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


def file_of(connection: Any) -> Path:
    """Return the path of the file of ``connection``, whose ``NAME`` is a path or a URI, such as ``file:a?mode=rw``."""
    name = str(connection.settings_dict["NAME"])
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def is_on_read_only_system(path: Path) -> bool:
    """Return whether nobody can write to the file system of ``path``."""
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False
